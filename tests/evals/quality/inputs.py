"""Real messages in place of inputs: what people who wrote for the training of intents sent, and what others sent.

A calm series draws from the messages of some authors. A drifting one draws a part of its inputs elsewhere: from
questions about documents, from requests of one kind only, or from the messages of other authors, who write of the same
things in the same language, each in their own manner.
"""

import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from core.quality.reading import words_of
from core.quality.statistics.drift import EVERY_JOBS, REFERENCE_JOBS, WINDOW_JOBS, compare

_EVALS = Path(__file__).parents[1]
_MESSAGES = _EVALS / "customer_operations" / "training" / "messages.jsonl"
_QUESTIONS = _EVALS / "answers" / "fresh.jsonl"
_OTHERS = frozenset({21, 22, 23, 24, 25})
_REFUND = "refund"
Histograms = Sequence[bytes]


def read() -> tuple[Histograms, Histograms, Histograms, Histograms]:
    """Of the messages of most authors, of the other authors', of requests for a refund, and of questions."""
    rows = _rows(_MESSAGES)

    def chosen(wanted: Callable[[dict[str, Any]], bool]) -> list[bytes]:
        return _histograms(row["message"] for row in rows if wanted(row))

    return (
        chosen(lambda row: row["author"] not in _OTHERS),
        chosen(lambda row: row["author"] in _OTHERS),
        chosen(lambda row: row["author"] not in _OTHERS and row["asks"] == [_REFUND]),
        _histograms(row["question"] for row in _rows(_QUESTIONS)),
    )


def first_drift(rng: np.random.Generator, usual: Histograms, other: Histograms, share: float, jobs: int) -> int | None:
    """The number of the job, from 1, at whose test a drift is found, when `share` of the inputs comes from `other`."""

    def draw(count: int, part: float) -> list[bytes]:
        return [
            other[int(rng.integers(len(other)))] if rng.random() < part else usual[int(rng.integers(len(usual)))]
            for _ in range(count)
        ]

    reference = draw(REFERENCE_JOBS, 0)
    seen = [*draw(WINDOW_JOBS, 0), *draw(jobs, share)]
    for number in range(EVERY_JOBS, jobs + 1, EVERY_JOBS):
        window = seen[number : number + WINDOW_JOBS]
        if compare(reference, window, seed=int(rng.integers(2**31))).is_drift:
            return number
    return None


def _rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def _histograms(texts: Iterable[str]) -> list[bytes]:
    found = [words_of({"message": text}) for text in texts]
    return [each for each in found if each is not None]
