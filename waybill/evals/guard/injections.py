"""Texts that are attacks or harmless, and how much of either counts as an attack from each threshold on."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from core.guard.injection.detection import THRESHOLD, InjectionDetector
from waybill.evals.files import Row, UnreadableData, read_lines

THRESHOLDS = (0.3, 0.4, THRESHOLD, 0.6, 0.7, 0.8, 0.9)
_BATCH = 64


@dataclass(frozen=True, slots=True)
class Sample:
    """A text, whether it is an attack, and its set and theme."""

    text: str
    is_attack: bool
    source: str


@dataclass(frozen=True, slots=True)
class Scored:
    """The scores of a set, all of it attacks or all of it harmless, and the processor time that they took."""

    name: str
    is_attack: bool
    scores: Sequence[float]
    seconds: float
    size_bytes: int

    def share(self, threshold: float = THRESHOLD) -> float:
        """The share that counts as an attack."""
        return sum(score >= threshold for score in self.scores) / max(len(self.scores), 1)


def read_samples(path: Path, source: str) -> list[Sample]:
    """The lines of a file, each with a `text` and a `label`, 1 for an attack and 0 for a harmless text.

    Raises `waybill.evals.files.UnreadableData`.
    """
    samples = [_sample(row, source) for row in read_lines(path, "text", "label")]
    if not samples:
        raise UnreadableData(f"{path} holds no texts")
    return samples


def score(
    name: str, samples: Sequence[Sample], detector: InjectionDetector, done: Callable[[int], None] | None = None
) -> Scored:
    """The scores of a set, which is not empty. `done` receives the number of texts after each part of them."""
    begun = time.process_time()
    scores: list[float] = []
    for start in range(0, len(samples), _BATCH):
        scores += detector.score([each.text for each in samples[start : start + _BATCH]])
        if done is not None:
            done(len(scores))
    size_bytes = sum(len(each.text.encode(errors="replace")) for each in samples)
    return Scored(name, samples[0].is_attack, scores, time.process_time() - begun, size_bytes)


def together(scored: Sequence[Scored]) -> Scored:
    """All sets of one kind as one; there is at least one."""
    return Scored(
        "all",
        scored[0].is_attack,
        [each for one in scored for each in one.scores],
        sum(each.seconds for each in scored),
        sum(each.size_bytes for each in scored),
    )


def _sample(row: Row, source: str) -> Sample:
    text, label = row.values["text"], row.values["label"]
    if not isinstance(text, str):
        raise UnreadableData(f"{row.place}: the text is no string")
    if isinstance(label, bool) or label not in (0, 1):
        raise UnreadableData(f"{row.place}: the label is {label!r}, expected 1 for an attack or 0 for a harmless text")
    return Sample(text, label == 1, source)
