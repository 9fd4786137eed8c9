import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.capability import JobCancelled
from core.gateway.errors import InvalidRequest
from core.gateway.models import ChatRequest, Finish, Text
from core.gateway.providers.smollm import SmolLM
from core.kit.errors import Unavailable
from tests.factories.processes import ROOT

REQUEST = ChatRequest.of_parts((Text("Name three colours."),), max_output_tokens=12)
LONG = ChatRequest.of_parts((Text("Tell a long story about a ferry."),), max_output_tokens=400)

FORK = """
import os
from core.gateway.models import ChatRequest, Text
from core.gateway.providers.smollm import SmolLM
smollm = SmolLM()
child = os.fork()
if child == 0:
    request = ChatRequest.of_parts((Text("Hello"),), max_output_tokens=3)
    os._exit(0 if list(smollm.stream(request, check=lambda: None)) else 1)
raise SystemExit(os.waitpid(child, 0)[1])
"""


def go_on() -> None:
    """A check that never ends the call."""


@pytest.fixture(scope="module")
def model() -> Iterator[SmolLM]:
    pytest.importorskip("xllamacpp", exc_type=ImportError)
    smollm = SmolLM()
    yield smollm
    smollm.close()


@pytest.mark.parametrize(
    ("module", "advice"), [(None, "tiny-llm"), ("raise ImportError('libgomp.so.1: cannot open')", "libgomp1")]
)
def test_what_it_lacks_is_said(
    module: str | None, advice: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "xllamacpp", None)
    if module is not None:
        monkeypatch.delitem(sys.modules, "xllamacpp")
        (tmp_path / "xllamacpp.py").write_text(module, encoding="utf-8")
        monkeypatch.syspath_prepend(tmp_path)
    with SmolLM().stream(REQUEST, check=go_on) as stream, pytest.raises(Unavailable, match=advice) as refused:
        list(stream)
    assert refused.value.code == "model_missing"


def test_it_streams_real_tokens_and_reports_them_with_its_seconds(model: SmolLM) -> None:
    with model.stream(REQUEST, check=go_on) as stream:
        pieces = [chunk.text for chunk in stream]
    assert stream.finish is Finish.LENGTH
    assert 1 < len(pieces) <= 12
    assert not stream.usage.estimated
    assert stream.usage.output_tokens == 12
    assert 20 < stream.usage.input_tokens < 60
    assert stream.usage.worker_seconds >= 1
    quantities = stream.usage.to_model_usage().quantities
    assert set(quantities) == {"input_tokens", "output_tokens", "worker_second"}
    assert all(quantities[kind] <= most for kind, most in model.bound(REQUEST).items())


def test_it_obeys_a_schema(model: SmolLM) -> None:
    schema = {"type": "object", "properties": {"ok": {"type": "boolean"}}, "required": ["ok"]}
    request = ChatRequest.of_parts((Text("Is water wet?"),), output_schema=schema, max_output_tokens=60)
    answer = json.loads("".join(chunk.text for chunk in model.stream(request, check=go_on)))
    assert isinstance(answer["ok"], bool)


@pytest.mark.parametrize("after", [1, 3])
def test_cancelling_between_chunks_ends_the_model_and_counts_what_it_produced(model: SmolLM, after: int) -> None:
    received: list[str] = []

    def check() -> None:
        if len(received) >= after:
            raise JobCancelled

    begin = time.monotonic()
    stream = model.stream(LONG, check=check)
    with pytest.raises(JobCancelled):
        received.extend(chunk.text for chunk in stream)
    # 400 tokens take seconds; that the next call is answered at once shows that they were not produced.
    list(model.stream(REQUEST, check=go_on))
    assert time.monotonic() - begin < 30
    assert len(received) == after
    assert stream.finish is None
    assert not stream.usage.estimated
    assert after <= stream.usage.output_tokens <= after + 2


def test_what_is_longer_than_the_context_is_refused(model: SmolLM) -> None:
    with pytest.raises(InvalidRequest) as caught:
        list(model.stream(ChatRequest.of_parts((Text("word " * 6000),)), check=go_on))
    assert caught.value.code == "context_too_long"


def test_it_can_be_used_after_a_fork_that_came_before_the_first_call() -> None:
    # In a process of its own: this one may have loaded the model, and its children would hang.
    ran = subprocess.run([sys.executable, "-c", FORK], timeout=60, check=False, cwd=ROOT)
    assert ran.returncode == 0
