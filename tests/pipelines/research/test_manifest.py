import subprocess
import sys

import pytest
from pydantic import ValidationError

from pipelines.registry import manifests
from pipelines.research.manifest import REPORT
from pipelines.research.schemas import ReportInput
from workers.pools import get_pool

BASE = "kb_01kb0d3h5we3v9wq2m8c5r6t7x"


def test_it_is_offered_and_has_a_pool_of_its_own() -> None:
    assert manifests()["research.report"] is REPORT
    assert get_pool(REPORT.pool).name == "research"
    for example in REPORT.examples:
        REPORT.input.model_validate(example)


@pytest.mark.parametrize(
    "given",
    [
        {"question": "Why?"},
        {"question": " ", "knowledge_bases": [BASE]},
        {"question": "a\x00", "knowledge_bases": [BASE]},
        {"question": "Why?", "knowledge_bases": [BASE, BASE]},
        {"question": "Why?", "knowledge_bases": ["kb_1"]},
        {"question": "Why?", "knowledge_bases": [BASE], "rounds": 4},
        {"question": "Why?", "knowledge_bases": [BASE], "tone": "jolly"},
    ],
)
def test_what_cannot_be_researched_is_refused(given: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        ReportInput.model_validate(given)


def test_the_manifest_loads_no_framework() -> None:
    heavy = "crewai langgraph langchain_core numpy onnxruntime fpdf httpx sqlalchemy"
    code = (
        "import sys, core.capability; before = set(sys.modules); import pipelines.research.manifest;"
        f"print([name for name in {heavy!r}.split() if name in set(sys.modules) - before])"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"
