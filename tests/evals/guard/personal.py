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
from collections.abc import Sequence
from pathlib import Path

from core.guard.records import Finding
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


def main() -> int:
    """Score both recognizers on all sets; 1 when a mark is missed on a set that was not tuned on."""
    begun = time.perf_counter()
    from core.guard.personal.recognition import PersonalDataRecognizer

    recognizer = PersonalDataRecognizer()
    recognizer.find(["Warm up: Ann Lee, +1 415 555 2671."])
    sys.stdout.write(f"start {time.perf_counter() - begun:.1f} s\n")
    sets = {"messages": read_messages()}
    if data := os.environ.get("WAYBILL_EVALS_DATA"):
        theirs = read_theirs(Path(data) / "guard" / "pii" / "generated_large.json")
        sets |= {"presidio-research, tuned": theirs[0], "presidio-research, other templates": theirs[1]}
    missed = []
    for name, examples in sets.items():
        texts = [example.text for example in examples]
        begun = time.process_time()
        found = recognizer.find(texts)
        milliseconds = (time.process_time() - begun) * 1000 / (sum(map(len, texts)) / 1024)
        score = score_of(examples, found)
        _print(f"{name}: {len(examples)} texts, {milliseconds:.1f} ms/KB", score)
        if "tuned" not in name:
            missed += [f"{name}: {kind}" for kind, mark in MARKS.items() if score.kinds[kind].f2 < mark]
            missed += [f"{name}: covered"] if score.covered < COVERED_MARK else []
            missed += (
                [f"{name}: clean texts"]
                if len(score.clean_findings) > FALSE_POSITIVES_MAX and name == "messages"
                else []
            )
        if "--misses" in sys.argv:
            _print_misses(examples, found)
    sys.stdout.write(f"memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB at its highest\n")
    if "--no-baseline" not in sys.argv:
        find = baseline()
        for name, examples in sets.items():
            _print(f"Presidio as it comes, {name}", score_of(examples, find([example.text for example in examples])))
    for each in missed:
        sys.stdout.write(f"below its mark: {each}\n")
    return int(bool(missed))


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
    sys.exit(main())
