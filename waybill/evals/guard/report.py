"""Measures the guard's recognizers on the labeled texts of a folder."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.guard.injection.detection import InjectionDetector
from core.guard.records import Finding
from waybill.evals.files import UnreadableData
from waybill.evals.guard.injections import THRESHOLDS, Sample, Scored, read_samples, score, together
from waybill.evals.guard.labels import LabeledTexts, read_labeled
from waybill.evals.guard.scores import Score, score_of

# The current task, how many texts are done, and of how many.
Progress = Callable[[str, int, int], None]
Find = Callable[[Sequence[str]], list[list[Finding]]]
_BATCH = 64
_KILOBYTES_MIN = 1e-9  # where all texts are empty


@dataclass(frozen=True, slots=True)
class PersonalFigures:
    """The findings in a file. `left_out` counts the labels of kinds that we do not have, by their type."""

    file: str
    texts: int
    left_out: Mapping[str, int]
    ms_per_kb: float
    guard: Score
    baseline: Score | None

    def as_json(self) -> dict[str, Any]:
        """The figures as a dictionary."""
        return {
            "file": self.file,
            "texts": self.texts,
            "left_out": dict(self.left_out),
            "ms_per_kb": round(self.ms_per_kb, 2),
            "guard": self.guard.as_json(),
            "baseline": self.baseline and self.baseline.as_json(),
        }


@dataclass(frozen=True, slots=True)
class InjectionFigures:
    """The scores of a file's attacks and harmless texts; None where it has none."""

    file: str
    attacks: Scored | None
    harmless: Scored | None

    def as_json(self) -> dict[str, Any]:
        """The figures as a dictionary."""
        return {
            "file": self.file,
            "attacks": len(self.attacks.scores) if self.attacks else 0,
            "harmless": len(self.harmless.scores) if self.harmless else 0,
            "thresholds": [
                {
                    "threshold": threshold,
                    "recall": self.attacks and self.attacks.share(threshold),
                    "false_positives": self.harmless and self.harmless.share(threshold),
                }
                for threshold in THRESHOLDS
            ],
        }


@dataclass(frozen=True, slots=True)
class Report:
    """The measurements, file by file. Times are processor time."""

    data: str
    personal: tuple[PersonalFigures, ...]
    injections: tuple[InjectionFigures, ...]

    def as_json(self) -> dict[str, Any]:
        """The report as a dictionary, without any value of a text."""
        scored = [one for each in self.injections for one in (each.attacks, each.harmless) if one]
        return {
            "data": self.data,
            "personal": [each.as_json() for each in self.personal],
            "injections": [each.as_json() for each in self.injections],
            "injections_ms_per_kb": round(ms_per_kb(together(scored)), 2) if scored else None,
        }


def run_guard_eval(data: Path, *, with_baseline: bool = False, progress: Progress | None = None) -> Report:
    """Read all of folder `data`, then run the recognizers on its texts and compare.

    Personal data is in ``personal.json``, ``personal.jsonl`` and the files of ``pii``, injections are in
    ``injection.jsonl`` and the files of ``injection``. Only the recognizers for the present files are loaded. Raises
    `waybill.evals.files.UnreadableData`.
    """
    notify = progress or _silently
    labeled = {str(path.relative_to(data)): read_labeled(path) for path in _personal_files(data)}
    samples = {str(path.relative_to(data)): read_samples(path, path.stem) for path in _injection_files(data)}
    if not labeled and not samples:
        raise UnreadableData(
            f"{data} has none of injection.jsonl, injection/*.jsonl, personal.json, personal.jsonl, pii/*.json "
            "and pii/*.jsonl"
        )
    return Report(
        data.resolve().name,
        tuple(_personal(labeled, with_baseline, notify)) if labeled else (),
        tuple(_injections(samples, notify)) if samples else (),
    )


def ms_per_kb(scored: Scored) -> float:
    """Milliseconds of processor time for 1024 bytes."""
    return scored.seconds * 1000 / max(scored.size_bytes / 1024, _KILOBYTES_MIN)


def _personal_files(data: Path) -> list[Path]:
    named = [data / "personal.json", data / "personal.jsonl"]
    inside = [path for path in (data / "pii").glob("*") if path.suffix in {".json", ".jsonl"}]
    return [path for path in named if path.exists()] + sorted(inside)


def _injection_files(data: Path) -> list[Path]:
    named = data / "injection.jsonl"
    return [named] * named.exists() + sorted((data / "injection").glob("*.jsonl"))


def _personal(labeled: Mapping[str, LabeledTexts], with_baseline: bool, notify: Progress) -> Iterator[PersonalFigures]:
    # Both import a language model and its libraries.
    from core.guard.personal.recognition import PersonalDataRecognizer
    from waybill.evals.guard.baseline import baseline

    find = PersonalDataRecognizer().find
    find_baseline = baseline() if with_baseline else None
    for name, read in labeled.items():
        texts = [each.text for each in read.examples]
        begun = time.process_time()
        found = _found(find, texts, name, notify)
        seconds = time.process_time() - begun
        kilobytes = max(sum(len(text.encode()) for text in texts) / 1024, _KILOBYTES_MIN)
        score_of_baseline = None
        if find_baseline:
            score_of_baseline = score_of(read.examples, _found(find_baseline, texts, f"{name}, baseline", notify))
        yield PersonalFigures(
            file=name,
            texts=len(texts),
            left_out=read.left_out,
            ms_per_kb=seconds * 1000 / kilobytes,
            guard=score_of(read.examples, found),
            baseline=score_of_baseline,
        )


def _found(find: Find, texts: Sequence[str], what: str, notify: Progress) -> list[list[Finding]]:
    found: list[list[Finding]] = []
    for start in range(0, len(texts), _BATCH):
        found += find(texts[start : start + _BATCH])
        notify(what, len(found), len(texts))
    return found


def _injections(samples: Mapping[str, Sequence[Sample]], notify: Progress) -> Iterator[InjectionFigures]:
    detector = InjectionDetector()
    for name, read in samples.items():
        attacks, harmless = (_scored(name, read, is_attack, detector, notify) for is_attack in (True, False))
        yield InjectionFigures(name, attacks, harmless)


def _scored(
    name: str, samples: Sequence[Sample], is_attack: bool, detector: InjectionDetector, notify: Progress
) -> Scored | None:
    chosen = [each for each in samples if each.is_attack is is_attack]
    what = f"{name}, {'attacks' if is_attack else 'harmless'}"
    return score(name, chosen, detector, lambda done: notify(what, done, len(chosen))) if chosen else None


def _silently(_what: str, _done: int, _total: int) -> None:
    """Report nothing."""
