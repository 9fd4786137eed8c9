"""Questions with their candidates, each labeled by whether it answers: what the models are fitted on."""

import json
import re
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

from core.gateway.embeddings.cache import RecentVectors
from core.gateway.embeddings.minilm import load_minilm
from core.gateway.extraction.evidence import Unit, gather
from core.gateway.extraction.terms import term_of, terms_of
from core.gateway.extraction.words import content_words
from core.gateway.models import Passage
from tests.evals.answers.judge import holds
from tests.evals.answers.training.fit import Example
from tests.factories.answering import SAMPLES, PassageIndex, document_index, sample_corpus, squad_index, text_index

_HERE = Path(__file__).parent
_DEVELOPMENT = Path("tests/pipelines/knowledge/development_questions.jsonl")
_EMBEDDER = RecentVectors(load_minilm(), 65_536)
# Whether a unit of a passage answers, given what is read of it.
_Answers = Callable[[Passage, Unit, str], bool]


def looked_at(squad: Path, corpora: Sequence[str]) -> Iterator[Example]:
    """All that rules and weights may be made with: every second article of `squad`, asked over all and over the others,
    the documents in ``texts``, the named ones in ``corpora``, and of the samples the questions for development.
    """
    yield from _articles(squad)
    for path in sorted((_HERE / "texts").glob("*.txt")):
        text, _, asked = path.read_text(encoding="utf-8").partition("\n---\n")
        index = text_index(f"{path.stem}.md", text)
        for line in asked.splitlines():
            question, _, want = line.partition("=>")
            yield from _wanted(path.stem, question.strip(), index, [want.strip()] if want.strip() else None)
    for name in corpora:
        index = document_index(_HERE.parent / "corpora" / f"{name}.md")
        for item in _lines(_HERE.parent / "corpora" / f"{name}.jsonl"):
            # Of two things in one, no single candidate is the answer.
            if item["kind"] not in ("two-part", "comparison"):
                yield from _wanted(name, item["question"], index, item["want"])
    yield from _samples()


def _samples() -> Iterator[Example]:
    index = sample_corpus()
    for number, item in enumerate(_lines(_HERE.parent / "fresh.jsonl")):
        if item["split"] == "dev":
            yield from _wanted(f"fresh {number % 5}", item["question"], index, item["want"])
    for path in (SAMPLES / "questions.jsonl", _DEVELOPMENT):
        for number, item in enumerate(_lines(path)):
            quote = item.get("quote")
            says: _Answers = lambda _, __, text, quote=quote: quote is not None and _overlaps(text, quote)  # type: ignore[misc]  # noqa: E731
            yield _example(f"{path.stem} {number % 5}", item["question"], index.find(item["question"]), says)


def _articles(path: Path) -> Iterator[Example]:
    data = json.loads(path.read_text(encoding="utf-8"))["data"]
    index = squad_index(data)
    for number in range(0, len(data), 2):
        for place, paragraph in enumerate(data[number]["paragraphs"]):
            for count, item in enumerate(paragraph["qas"]):
                question, own = item["question"].strip(), f"{number}#{place}"
                texts = [one["text"] for one in item["answers"]]
                says: _Answers = lambda passage, _, text, own=own, texts=texts: (  # type: ignore[misc]  # noqa: E731
                    passage.id == own and any(holds(text, each) for each in texts)
                )
                passages = index.find(question)
                example = _example(f"article {number}", question, passages, says)
                yield example
                if count % 2 and example.answers.any():
                    paragraph_terms = terms_of(paragraph["context"])
                    yield from filter(None, [_about_another(example, passages, paragraph_terms)])
                if count % 2 == 0:
                    elsewhere: Callable[[Passage], bool] = lambda one, own=f"{number}#": not one.id.startswith(own)  # type: ignore[misc]  # noqa: E731
                    passages = index.find(question, among=elsewhere)
                    yield _example(f"article {number}", question, passages, lambda *_: False)


# What a question is about may be swapped for one of these, and then nothing answers it any more.
_OTHER_THINGS = (
    "orchestra", "passport", "uniform", "garden", "bridge", "newspaper", "bicycle", "wedding", "software", "museum",
    "helicopter", "kitchen", "warranty", "pension", "tournament", "satellite", "vaccine", "carpet", "lighthouse",
)  # fmt: skip


def _about_another(example: Example, passages: Sequence[Passage], held: Collection[str]) -> Example | None:
    """The same question with one of its words swapped; `held` are the terms of what answers it. None without a word."""
    random = Random(example.question)
    words = [
        word
        for word in re.findall(r"(?<![\w-])[a-z]{4,}(?![\w-])", example.question)
        if term_of(word) in held and content_words(word) and word not in _KINDS_OF_ANSWER
    ]
    said = terms_of(" ".join(f"{passage.section} {passage.text}" for passage in passages))
    others = [word for word in _OTHER_THINGS if term_of(word) not in said]
    if not words or not others:
        return None
    other = re.sub(rf"\b{random.choice(words)}\b", random.choice(others), example.question)
    return _example(example.source, other, passages, lambda *_: False)


_KINDS_OF_ANSWER = frozenset(
    ["year", "years", "month", "months", "days", "hours", "time", "name", "called", "percentage", "number", "kind",
     "type", "long", "much", "many", "often", "cost", "costs", "date", "place", "person", "happens", "reason"]
)  # fmt: skip


def _wanted(source: str, question: str, index: PassageIndex, want: Sequence[str] | None) -> Iterator[Example]:
    says: _Answers = lambda _, __, text: want is not None and all(holds(text, each) for each in want)  # noqa: E731
    passages = index.find(question)
    example = _example(source, question, passages, says)
    yield example
    if example.answers.any():
        right = " ".join(passage.text for passage in passages if all(holds(passage.text, each) for each in want or ()))
        yield from filter(None, [_about_another(example, passages, terms_of(right))])


def _example(source: str, question: str, passages: Sequence[Passage], answers: _Answers) -> Example:
    evidence = gather(question, passages, _EMBEDDER)
    units = evidence.units
    read = [unit.row.reading(unit.columns) if unit.row is not None else unit.text for unit in units]
    return Example(
        source,
        question,
        evidence.features.astype(np.float64),
        np.array([answers(passages[u.passage], u, text) for u, text in zip(units, read, strict=True)], dtype=bool),
        np.array([unit.passage for unit in units], dtype=np.int64),
    )


def _overlaps(text: str, quote: str) -> bool:
    """Whether the text holds the quote, or all but a fifth of its words (a quote may span two sentences)."""
    plain, wanted = (" ".join(each.split()).casefold() for each in (text, quote))
    words = set(wanted.split())
    return wanted in plain or len(words & set(plain.split())) > 0.8 * len(words)


def _lines(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
