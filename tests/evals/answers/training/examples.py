"""Questions with their candidates, each labeled by whether it answers: what the models are fitted on."""

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from core.gateway.embeddings.cache import RecentVectors
from core.gateway.embeddings.minilm import load_minilm
from core.gateway.extraction.evidence import Unit, gather
from core.gateway.models import Passage
from tests.evals.answers.judging import holds
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
            yield _wanted(path.stem, question.strip(), index, [want.strip()] if want.strip() else None)
    for name in corpora:
        index = document_index(_HERE.parent / "corpora" / f"{name}.md")
        for item in _lines(_HERE.parent / "corpora" / f"{name}.jsonl"):
            # Of two things in one, no single candidate is the answer.
            if item["kind"] not in ("two-part", "comparison"):
                yield _wanted(name, item["question"], index, item["want"])
    yield from _samples()


def _samples() -> Iterator[Example]:
    index = sample_corpus()
    for number, item in enumerate(_lines(_HERE.parent / "fresh.jsonl")):
        if item["split"] == "dev":
            yield _wanted(f"fresh {number % 5}", item["question"], index, item["want"])
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
                starts = [one["answer_start"] for one in item["answers"]]
                says: _Answers = lambda passage, unit, _, own=own, starts=starts: (  # type: ignore[misc]  # noqa: E731
                    passage.id == own and any(unit.sentence.start <= start < unit.sentence.end for start in starts)
                )
                yield _example(f"article {number}", question, index.find(question), says)
                if count % 2 == 0:
                    elsewhere: Callable[[Passage], bool] = lambda one, own=f"{number}#": not one.id.startswith(own)  # type: ignore[misc]  # noqa: E731
                    passages = index.find(question, among=elsewhere)
                    yield _example(f"article {number}", question, passages, lambda *_: False)


def _wanted(source: str, question: str, index: PassageIndex, want: Sequence[str] | None) -> Example:
    says: _Answers = lambda _, __, text: want is not None and all(holds(text, each) for each in want)  # noqa: E731
    return _example(source, question, index.find(question), says)


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
