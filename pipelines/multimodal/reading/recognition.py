"""Reads print and speech in warm children: a crash, a leak or a canceled job ends one of them, not the worker.

One page and one recording are read at a time: a second would only wait for the same cores, and hold its tensors
meanwhile. The input was created by the child that opened the file, so jobs of all tenants share these children.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from core.kit.errors import CapabilityFailure
from core.kit.settings import get_settings
from pipelines._kit.sandbox.pool import shared
from pipelines._kit.sandbox.profile import (
    NOT_STARTED,
    TOO_MUCH_MEMORY,
    TOO_SLOW,
    Bounds,
    SandboxFailure,
    SandboxProfile,
)
from pipelines.multimodal.files.detect import refuse
from pipelines.multimodal.files.limits import SAMPLE_RATE
from pipelines.multimodal.reading.layout import Piece
from pipelines.multimodal.reading.whisper import model_folder

THREADS = 2
_GIB = 1024**3

# A page of 2000 by 2000 pixels that is full of small print took 75 s of processor time and 2.6 GB of address space.
OCR = SandboxProfile(
    name="ocr",
    entry="pipelines.multimodal.reading.ocr:open_ocr",
    options={"threads": THREADS},
    bounds=Bounds(memory_bytes=4 * _GIB, cpu_seconds=300, clock_seconds=900.0, file_bytes=0),
    resident_max_bytes=_GIB,
    idle_seconds=300.0,
)


def read_image(path: Path, check: Callable[[], None]) -> list[Piece]:
    """The pieces of print in the picture at `path`, with boxes in its pixels. Raises `CapabilityFailure`."""
    answer = _recognised(OCR, path.read_bytes(), check)
    return [
        Piece(text, tuple(box), confidence, answer["tilt"] * (box[0] + box[2]) / 2)
        for text, box, confidence in answer["pieces"]
    ]


def transcribe(path: Path, check: Callable[[], None]) -> list[dict[str, Any]]:
    """Sentences of 16-bit samples as lines: ``{"text", "span", "confidence", "ends"}``, spans in seconds.

    Raises `CapabilityFailure`.
    """
    lines: list[dict[str, Any]] = _recognised(speech(), path.read_bytes(), check)["lines"]
    return lines


def speech() -> SandboxProfile:
    """The purpose of children for speech. The longest recording takes about ten minutes of processor time."""
    return SandboxProfile(
        name="speech",
        entry="pipelines.multimodal.reading.speech:open_speech",
        options={
            "folder": str(model_folder(get_settings().home).absolute()),
            "threads": THREADS,
            "sample_rate": SAMPLE_RATE,
        },
        bounds=Bounds(memory_bytes=4 * _GIB, cpu_seconds=1800, clock_seconds=2700.0, file_bytes=0),
        resident_max_bytes=_GIB,
        idle_seconds=300.0,
    )


def _recognised(profile: SandboxProfile, payload: bytes, check: Callable[[], None]) -> Mapping[str, Any]:
    try:
        return shared(profile).call({}, payload, check=check)
    except SandboxFailure as failure:
        reason = failure.reason
    if reason == TOO_SLOW:
        refuse("Recognising what is in this file takes longer than is allowed.", "Split it.", code="file_too_slow")
    if reason == TOO_MUCH_MEMORY:
        refuse("Recognising what is in this file takes too much memory.", "Split it.", code="file_too_large")
    if reason == NOT_STARTED:
        raise CapabilityFailure(
            f"The process for {profile.name} does not start.", code="process_unavailable", retryable=True
        )
    # Unlike a parser it reads no foreign format: a crash is more likely the machine's fault than the file's.
    raise CapabilityFailure(
        f"The process that recognises {'print' if profile.name == OCR.name else 'speech'} ended unexpectedly.",
        code="recognition_failed",
        retryable=True,
    )
