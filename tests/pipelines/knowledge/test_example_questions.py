"""Every question that the product shows as an example is asked here, and what the answer says is checked.

A question that somebody adds to the README, a how-to, the API's schema or the demo fails the first test until its
right answer stands in this table; None where the documents do not answer.
"""

import re
from pathlib import Path

import pytest

from core.gateway.embeddings.minilm import load_minilm
from core.gateway.models import ChatRequest, Finish, Part, Question
from core.gateway.providers.extractive import Extractive
from pipelines.knowledge.schemas import SEARCH_EXAMPLES
from tests.factories.answering import PassageIndex, sample_corpus
from waybill.demo.script import LIVE_QUESTION, OTHER_QUESTIONS

# In one process, which reads and embeds the samples once.
pytestmark = pytest.mark.xdist_group("samples")
ROOT = Path(__file__).parents[3]
ANSWERS = {
    "Up to what amount is a mobile phone compensated?": "tablets \u2013 Highest compensation: EUR 750",
    "What happens to compensation if the packaging was thrown away before the inspection?": "compensation is halved",
    "How long may a claim for a damaged parcel be filed?": (
        "Visible damage \u2013 Claim closes: 48 hours after delivery, with photographs\n"
        "Hidden damage or missing contents \u2013 Claim closes: 7 calendar days"
    ),
    "How many stops may a delivery van tour have?": "at most 165 stops",
    "What may the assistant refund during the pilot?": "up to EUR 50.00",
    "How long can data that was deleted remain in backups?": "35 days at most",
    "What is the dress code for the summer party?": None,
    "How long is a return label valid?": "21 calendar days",
    "Who can order a legal hold?": "Only the General Counsel may order a legal hold",
}
_ASKED = re.compile(r"kb ask \S+ '([^']+)'|\"query\": \"([^\"]+\?)\"|ask_all\(\[([^\]]+)\]\)")
_QUOTED = re.compile(r"\"([^\"]+\?)\"")


def shown() -> set[str]:
    pages = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")), *sorted(ROOT.glob("*/**/README.md"))]
    found = {LIVE_QUESTION, *OTHER_QUESTIONS}
    found |= {example["query"] for example in SEARCH_EXAMPLES if example.get("mode") != "passages"}
    for page in pages:
        if {".venv", "build"} & set(page.parts):
            continue
        for command, query, several in _ASKED.findall(page.read_text(encoding="utf-8")):
            found.update(_QUOTED.findall(several) if several else [command or query])
    return found


@pytest.fixture(scope="module")
def corpus() -> PassageIndex:
    return sample_corpus()


def test_every_example_question_has_its_answer_here() -> None:
    assert shown() == set(ANSWERS)


@pytest.mark.parametrize(("question", "expected"), ANSWERS.items())
def test_an_example_question_is_answered_rightly(corpus: PassageIndex, question: str, expected: str | None) -> None:
    parts: tuple[Part, ...] = (*corpus.find(question), Question(question))
    stream = Extractive(load_minilm).stream(ChatRequest.of_parts(parts), check=lambda: None)
    said = "".join(chunk.text for chunk in stream)
    if expected is None:
        assert stream.finish is Finish.NO_ANSWER
    else:
        assert expected in said


def test_a_question_that_is_answered_elsewhere_is_not_answered_with_a_near_miss(corpus: PassageIndex) -> None:
    """Fourteen days is how long the packaging is kept; a claim is filed within 48 hours or 7 days."""
    question = "How long may a claim for a damaged parcel be filed?"
    found = corpus.find(question)
    stream = Extractive(load_minilm).stream(ChatRequest.of_parts((*found, Question(question))), check=lambda: None)
    said = "".join(chunk.text for chunk in stream)
    assert stream.finish is Finish.NO_ANSWER or ("48 hours" in said and "7 calendar days" in said)
    assert any("48 hours after delivery" in passage.text for passage in found)
