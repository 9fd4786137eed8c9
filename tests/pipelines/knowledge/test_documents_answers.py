"""How well ``local/extractive`` answers about the sample corpus, from the files to the quotes.

Some weights were fitted on the development questions beside this file. The questions of the samples were not used for
that; half of those without an answer are near misses on purpose, about things that they name.
"""

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from core.gateway.embeddings.minilm import load_minilm
from core.gateway.models import ChatRequest, Finish, Part, Passage, Question
from core.gateway.providers.extractive import Extractive
from tests.factories.answering import SAMPLES, sample_corpus

# In one process, which reads and embeds the samples once.
pytestmark = pytest.mark.xdist_group("samples")


@dataclass(frozen=True)
class Figures:
    """Of the questions with an answer: how often the sentence that answers came `first`, or was `quoted` at all, and
    how often the model was `silent`. `refused` is the share of the questions without an answer on which it abstained.
    """

    first: float
    quoted: float
    silent: float
    refused: float
    sentences: float


@pytest.fixture(scope="module")
def retrieve() -> Callable[[str], list[Passage]]:
    return sample_corpus().find


def plain(text: str) -> str:
    return " ".join(text.split()).casefold()


def holds(text: str, quote: str) -> bool:
    """Whether the text holds the quote, or all but a fifth of its words (a quote may span two sentences)."""
    words = set(plain(quote).split())
    return plain(quote) in plain(text) or len(words & set(plain(text).split())) > 0.8 * len(words)


# One model for both tests, since it remembers the sentences of the corpus.
MODEL = Extractive(load_minilm)


def measure(questions: Path, retrieve: Callable[[str], list[Passage]]) -> Figures:
    asked = [json.loads(line) for line in questions.read_text(encoding="utf-8").splitlines()]
    answerable = [item for item in asked if item.get("quote")]
    first = quoted = silent = refused = sentences = 0
    for item in asked:
        parts: tuple[Part, ...] = (*retrieve(item["question"]), Question(item["question"]))
        stream = MODEL.stream(ChatRequest.of_parts(parts), check=lambda: None)
        texts = [chunk.text for chunk in stream]
        abstained = stream.finish is Finish.NO_ANSWER
        if item.get("quote"):
            silent += abstained
            first += holds(texts[0], item["quote"])
            quoted += holds(" ".join(texts), item["quote"])
            sentences += 0 if abstained else len(texts)
        else:
            refused += abstained
    many, few = len(answerable), len(asked) - len(answerable)
    return Figures(first / many, quoted / many, silent / many, refused / few, sentences / max(many - silent, 1))


def at_most(share: float, bound: float) -> bool:
    return share <= bound or math.isclose(share, bound)


@pytest.mark.timeout(600)
def test_the_questions_of_the_samples(
    retrieve: Callable[[str], list[Passage]], record_property: Callable[[str, object], None]
) -> None:
    figures = measure(SAMPLES / "questions.jsonl", retrieve)
    record_property("figures", str(figures))
    print(figures)  # noqa: T201 - the figures are shown by pytest -s, and when the test fails
    # What is asserted is right nine times in ten; the price is silence, beside which the passages are shown.
    assert figures.quoted / (1 - figures.silent) >= 0.8
    assert at_most(figures.silent, 0.5)
    assert figures.refused >= 0.9
    assert 1 <= figures.sentences <= 4


@pytest.mark.slow(30)
@pytest.mark.timeout(600)
def test_the_development_questions(
    retrieve: Callable[[str], list[Passage]], record_property: Callable[[str, object], None]
) -> None:
    figures = measure(Path(__file__).with_name("development_questions.jsonl"), retrieve)
    record_property("figures", str(figures))
    print(figures)  # noqa: T201 - as above
    assert figures.quoted / (1 - figures.silent) >= 0.8
    assert at_most(figures.silent, 0.5)
    assert figures.refused >= 0.9
