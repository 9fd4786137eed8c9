"""Print and speech are recognised in children: what kills one costs one try, and a cancelled job kills its own."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from rapidocr.inference_engine.onnxruntime import main as runtime

from core.capability import JobCancelled, UploadedFile
from core.gateway.service import Gateway, open_gateway
from core.kit.errors import CapabilityFailure
from core.kit.settings import Settings
from pipelines._kit.sandbox.pool import Pool, shared
from pipelines.multimodal.files.isolation import decode
from pipelines.multimodal.graph import build_with
from pipelines.multimodal.reading.ocr import stop_spinning
from pipelines.multimodal.reading.recognition import OCR, read_image, speech, transcribe
from pipelines.multimodal.schemas import UnderstandInput, UnderstandOutput
from tests.factories.context import RecordingContext
from tests.factories.files import upload

SAMPLES = Path(__file__).parents[3] / "docs" / "examples" / "multimodal"
RECEIPT = SAMPLES / "receipt.png"


@pytest.fixture(scope="module")
def gateway() -> Iterator[Gateway]:
    gateway = open_gateway(Settings())
    yield gateway
    gateway.close()


@pytest.fixture
def samples(tmp_path: Path) -> Path:
    """A recording as the children that listen are given it."""
    path = SAMPLES / "message.ogg"
    file = UploadedFile("file_x", path.name, "audio/ogg", path.stat().st_size, "0" * 64, path)
    return tmp_path / str(decode(file, tmp_path, lambda: None, owner="")["file"])


def ask(gateway: Gateway) -> UnderstandOutput:
    ctx = RecordingContext()
    payload = UnderstandInput(files=[upload(ctx, RECEIPT)], question="What is the total?")
    return build_with(gateway).run(ctx, payload)


def at_work(pool: Pool) -> int:
    (pid,) = pool.pids
    return pid


def test_one_child_reads_page_after_page() -> None:
    first = read_image(RECEIPT, lambda: None)
    pid = at_work(shared(OCR))
    assert read_image(RECEIPT, lambda: None) == first
    assert at_work(shared(OCR)) == pid
    assert any("19.90" in piece.text for piece in first)


def test_a_child_that_is_killed_while_it_reads_fails_the_job_clearly_and_the_next_job_works(gateway: Gateway) -> None:
    read_image(RECEIPT, lambda: None)
    pid = at_work(shared(OCR))
    with pytest.raises(CapabilityFailure) as failed:
        read_image(RECEIPT, lambda: os.kill(pid, signal.SIGKILL))
    assert failed.value.code == "recognition_failed"
    assert failed.value.retryable
    assert "recognises print ended unexpectedly" in failed.value.detail
    assert not psutil.pid_exists(pid)
    assert "19.90" in (ask(gateway).answer or "")


def test_cancelling_in_the_middle_of_a_recording_ends_the_child(samples: Path) -> None:
    lines = transcribe(samples, lambda: None)
    pid = at_work(shared(speech()))

    def cancel() -> None:
        raise JobCancelled

    with pytest.raises(JobCancelled):
        transcribe(samples, cancel)
    assert not psutil.pid_exists(pid)
    assert transcribe(samples, lambda: None) == lines
    assert "thursday" in " ".join(line["text"] for line in lines).lower()


def test_the_threads_of_its_models_burn_no_core_while_they_wait() -> None:
    stop_spinning()
    options = vars(runtime)["SessionOptions"]()
    assert options.get_session_config_entry("session.intra_op.allow_spinning") == "0"
