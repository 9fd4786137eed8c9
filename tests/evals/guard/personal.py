"""``python -m tests.evals.guard.personal``: personal data and secrets, beside Presidio as it comes on the same model.

Two sets: messages of our own, which no recognizer was written against, and, with ``WAYBILL_EVALS_DATA``,
``guard/pii/generated_large.json`` of presidio-research. Of the latter, recognizers were tuned on the half of the
templates whose hash is even; the other half is reported apart. Scored as ``waybill evals guard`` does.
"""

import hashlib
import os
import resource
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from core.guard.records import Finding
from tests.evals.scores import Row, missed
from waybill.cli.output import Output
from waybill.evals.guard.baseline import baseline
from waybill.evals.guard.labels import read_labeled
from waybill.evals.guard.scores import INDIRECT, Score, score_of
from waybill.evals.guard.spans import Example, is_covered, is_right
from waybill.evals.guard.tables import kinds_table, summary

MESSAGES = Path(__file__).with_name("personal_messages.jsonl")
MARKS = {"person": 0.70, "address": 0.70, "phone": 0.90, "card": 0.98}
COVERED_MARK = 0.90
FALSE_POSITIVES_MAX = 3


def measure() -> list[Row]:
    """Score both recognizers on all sets, print tables, and return what the page shows of it."""
    begun = time.perf_counter()
    from core.guard.personal.recognition import PersonalDataRecognizer

    recognizer = PersonalDataRecognizer()
    recognizer.find(["Warm up: Ann Lee, +1 415 555 2671."])
    sys.stdout.write(f"start {time.perf_counter() - begun:.1f} s\n")
    sets = {"messages": read_messages()}
    if data := os.environ.get("WAYBILL_EVALS_DATA"):
        theirs = read_theirs(Path(data) / "guard" / "pii" / "generated_large.json")
        sets |= {"presidio-research, tuned": theirs[0], "presidio-research, other templates": theirs[1]}
    scores = {}
    for name, examples in sets.items():
        texts = [example.text for example in examples]
        begun = time.process_time()
        found = recognizer.find(texts)
        milliseconds = (time.process_time() - begun) * 1000 / (sum(map(len, texts)) / 1024)
        scores[name] = score_of(examples, found)
        _print(f"{name}: {len(examples)} texts, {milliseconds:.1f} ms/KB", scores[name])
        if "--misses" in sys.argv:
            _print_misses(examples, found)
    sys.stdout.write(f"memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB at its highest\n")
    others = {}
    if "--no-baseline" not in sys.argv:
        find = baseline()
        for name, examples in sets.items():
            others[name] = score_of(examples, find([example.text for example in examples]))
            _print(f"Presidio as it comes, {name}", others[name])
    return [row for name, score in scores.items() for row in rows_of(name, score, others.get(name))]


def rows_of(name: str, score: Score, other: Score | None) -> Iterator[Row]:
    """The F2 of kinds with a mark, the characters covered, and clean texts; a tuned set has no mark."""
    is_tuned = "tuned" in name
    split, beside = "looked at" if is_tuned else "never looked at", "" if other is None else "Presidio as it comes"
    for kind, mark in MARKS.items():
        counts = score.kinds[kind]
        before = None if other is None else other.kinds[kind].f2 if kind in other.kinds else 0.0
        yield Row(name, split, f"{kind}, F2", counts.spans, counts.f2, before, beside, None if is_tuned else mark)
    spans = sum(each.spans for each in score.kinds.values())
    covered = None if other is None else other.covered
    yield Row(
        name, split, "characters covered", spans, score.covered, covered, beside, None if is_tuned else COVERED_MARK
    )
    if clean := score.clean_texts:
        most = 1 - FALSE_POSITIVES_MAX / clean if name == "messages" else None
        before = None if other is None else _at_least(other)
        yield Row(name, split, "clean texts, nothing found, at least", clean, _at_least(score), before, beside, most)


def _at_least(score: Score) -> float:
    # Several findings may be in one text.
    return max(0.0, 1 - len(score.clean_findings) / score.clean_texts)


def read_messages() -> list[Example]:
    """Our own set."""
    return read_labeled(MESSAGES).examples


def read_theirs(path: Path) -> tuple[list[Example], list[Example]]:
    """The set of presidio-research in two halves of its templates."""
    halves: tuple[list[Example], list[Example]] = ([], [])
    for example in read_labeled(path).examples:
        halves[hashlib.sha256(example.group.encode()).digest()[0] % 2].append(example)
    return halves


def _print(title: str, score: Score) -> None:
    Output().show("", title, kinds_table({"": score}), summary(score))
    if score.clean_findings:
        sys.stdout.write(f"among them {', '.join(score.clean_findings[:8])}\n")


def _print_misses(examples: Sequence[Example], found: Sequence[Sequence[Finding]]) -> None:
    for example, findings in zip(examples, found, strict=True):
        for span in example.spans:
            if span.kind not in INDIRECT and not is_covered(span, findings):
                line = example.text[max(0, span.start - 40) : span.end + 20]
                sys.stdout.write(f"  missed {span.kind}: {example.text[span.start : span.end]!r} in {line!r}\n")
        for each in findings:
            if each.kind not in INDIRECT and not is_right(each, example.spans):
                line = example.text[max(0, each.start - 30) : each.end + 20]
                value = example.text[each.start : each.end]
                sys.stdout.write(f"  wrong {each.kind} by {each.recognizer}: {value!r} in {line!r}\n")


if __name__ == "__main__":
    sys.exit(int(bool(missed(measure()))))
