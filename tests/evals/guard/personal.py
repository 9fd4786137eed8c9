"""``python -m tests.evals.guard.personal``: personal data and secrets, beside Presidio as it comes on the same model.

Two sets: messages of our own, which no recognizer was written against, and, with ``WAYBILL_EVALS_DATA``,
``guard/pii/generated_large.json`` of presidio-research. Of the latter, recognizers were tuned on the half of the
templates whose hash is even; the other half is reported apart.

A span is found when at least half of its characters are in findings of its kind, and a finding is right when at least
half of its characters are in spans of its kind. F2 counts recall twice. What counts as one kind: a postcode is a part
of an address, and of an address the city may be marked as a location. ``covered`` is the share of the characters of
direct identifiers that are in findings of any kind.
"""

import hashlib
import json
import os
import resource
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.guard.records import EntityKind, Finding

MESSAGES = Path(__file__).with_name("personal_messages.jsonl")
MARKS = {"person": 0.70, "address": 0.70, "phone": 0.90, "card": 0.98}
COVERED_MARK = 0.90
FALSE_POSITIVES_MAX = 3
THRESHOLD = 0.5
_KINDS_OF_THEIRS = {
    "PERSON": "person",
    "ADDRESS": "address",
    "STREET_ADDRESS": "address",
    "ZIP_CODE": "address",
    "LOCATION": "location",
    "GPE": "location",
    "ORGANIZATION": "organization",
    "CREDIT_CARD": "card",
    "PHONE_NUMBER": "phone",
    "EMAIL_ADDRESS": "email",
    "US_SSN": "national_id",
    "US_DRIVER_LICENSE": "national_id",
    "IBAN_CODE": "iban",
    "IP_ADDRESS": "ip_address",
    "UK_NHS": "national_id",
    "US_ITIN": "national_id",
    "US_PASSPORT": "national_id",
}
_INDIRECT = {"location", "organization"}
_DATE_OF_BIRTH_WORDS = ("birth", "born")


@dataclass(frozen=True, slots=True)
class Span:
    """A marked value of `kind` at ``text[start:end]``."""

    kind: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Example:
    """A text with what is in it."""

    text: str
    spans: tuple[Span, ...]
    group: str


@dataclass(slots=True)
class Counts:
    """Spans of a kind, those found of them, findings of the kind, and those right of them."""

    spans: int = 0
    found: int = 0
    findings: int = 0
    right: int = 0

    @property
    def recall(self) -> float:
        """The share of spans that were found."""
        return self.found / self.spans if self.spans else 0.0

    @property
    def precision(self) -> float:
        """The share of findings that are right."""
        return self.right / self.findings if self.findings else 0.0

    @property
    def f2(self) -> float:
        """The mean of both that counts recall twice."""
        weighed = 4 * self.precision + self.recall
        return 5 * self.precision * self.recall / weighed if weighed else 0.0


@dataclass(frozen=True, slots=True)
class Score:
    """What one recognizer got on one set."""

    kinds: dict[str, Counts]
    covered: float
    clean_texts: int
    clean_findings: list[str]


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
    """Our own set: values stand in the texts as ``⟦kind|value⟧``."""
    return [marked(row["text"], row["group"]) for row in map(json.loads, MESSAGES.read_text("utf-8").splitlines())]


def marked(text: str, group: str) -> Example:
    """The example that a text with marks stands for."""
    plain, spans = "", []
    for piece in text.split("⟦"):
        head, closed, tail = piece.partition("⟧")
        kind, _, value = head.partition("|")
        if closed:
            spans.append(Span(kind, len(plain), len(plain) + len(value)))
            plain += value + tail
        else:
            plain += piece
    return Example(plain, tuple(spans), group)


def read_theirs(path: Path) -> tuple[list[Example], list[Example]]:
    """The set of presidio-research in two halves of its templates."""
    halves: tuple[list[Example], list[Example]] = ([], [])
    for row in json.loads(path.read_text("utf-8")):
        spans = []
        for each in row["spans"]:
            start, end = each["start_position"], each["end_position"]
            kind = _KINDS_OF_THEIRS.get(each["entity_type"])
            before = row["full_text"][max(0, start - 30) : start].lower()
            if each["entity_type"] == "DATE_TIME" and any(word in before for word in _DATE_OF_BIRTH_WORDS):
                kind = "date_of_birth"
            if kind:
                spans.append(Span(kind, start, end))
        half = hashlib.sha256(str(row["template_id"]).encode()).digest()[0] % 2
        halves[half].append(Example(row["full_text"], tuple(spans), str(row["template_id"])))
    return halves


def baseline() -> Callable[[Sequence[str]], list[list[Finding]]]:
    """Presidio with its own recognizers on the model that ours uses; as it has no threshold, every score counts."""
    from presidio_analyzer import AnalyzerEngine
    from presidio_analyzer.nlp_engine import NlpEngineProvider

    from core.guard.personal.language import NameModel

    configuration = {"nlp_engine_name": "spacy", "models": [{"lang_code": "en", "model_name": NameModel().model}]}
    engine = NlpEngineProvider(nlp_configuration=configuration).create_engine()
    analyzer = AnalyzerEngine(nlp_engine=engine, supported_languages=["en"])

    def find(texts: Sequence[str]) -> list[list[Finding]]:
        return [
            [
                Finding(_KINDS_OF_THEIRS[each.entity_type], each.start, each.end, 1.0, "presidio")
                for each in analyzer.analyze(text, language="en")
                if each.entity_type in _KINDS_OF_THEIRS
            ]
            for text in texts
        ]

    return find


def score_of(examples: Sequence[Example], found: Sequence[Sequence[Finding]]) -> Score:
    """What `found` is worth on `examples`."""
    counts: dict[str, Counts] = defaultdict(Counts)
    identifying = covered = clean_texts = 0
    clean_findings: list[str] = []
    has_indirect = any(span.kind in _INDIRECT for example in examples for span in example.spans)
    for example, findings in zip(examples, found, strict=True):
        believed = [each for each in findings if each.score >= THRESHOLD]
        for span in example.spans:
            counts[_kind(span.kind)].spans += 1
            counts[_kind(span.kind)].found += is_covered(span, believed)
            if span.kind not in _INDIRECT:
                identifying += span.end - span.start
                covered += _overlap(span.start, span.end, believed)
        for each in believed:
            if has_indirect or each.kind not in _INDIRECT:
                counts[_kind(each.kind)].findings += 1
                counts[_kind(each.kind)].right += is_right(each, example.spans)
        if not example.spans:
            clean_texts += 1
            clean_findings += [
                f"{each.kind} {example.text[each.start : each.end]!r}"
                for each in believed
                if each.kind not in _INDIRECT
            ]
    return Score(dict(counts), covered / identifying if identifying else 0.0, clean_texts, clean_findings)


def is_covered(span: Span, findings: Iterable[Finding]) -> bool:
    """Whether half of the characters of `span` are in findings of its kind."""
    same = [each for each in findings if _kind(each.kind) == _kind(span.kind)]
    return 2 * _overlap(span.start, span.end, same) >= span.end - span.start


def is_right(finding: Finding, spans: Iterable[Span]) -> bool:
    """Whether half of the characters of `finding` are in spans of its kind; of an address, also in locations."""
    allowed = {_kind(finding.kind)} | ({"location"} if _kind(finding.kind) == "address" else set())
    same = [each for each in spans if _kind(each.kind) in allowed]
    own = any(_kind(each.kind) == _kind(finding.kind) and _overlap(each.start, each.end, [finding]) for each in same)
    return own and 2 * _overlap(finding.start, finding.end, same) >= finding.end - finding.start


def _kind(kind: str) -> str:
    return "address" if kind == EntityKind.POSTCODE else str(kind)


def _overlap(start: int, end: int, others: Iterable[Span | Finding]) -> int:
    """How many characters of ``[start, end)`` are in any of the others."""
    return len({index for each in others for index in range(max(start, each.start), min(end, each.end))})


def _print(title: str, score: Score) -> None:
    sys.stdout.write(f"\n{title}\n{'':<16}{'spans':>6}{'recall':>8}{'precision':>10}{'F2':>7}\n")
    for kind, counts in sorted(score.kinds.items(), key=lambda item: -item[1].spans):
        if counts.spans or counts.findings:
            line = f"{kind:<16}{counts.spans:>6}{counts.recall:>8.3f}{counts.precision:>10.3f}{counts.f2:>7.3f}"
            sys.stdout.write(line + "\n")
    sys.stdout.write(f"characters of direct identifiers covered: {score.covered:.3f}\n")
    sys.stdout.write(f"findings in {score.clean_texts} texts without any: {len(score.clean_findings)}")
    sys.stdout.write(f" ({', '.join(score.clean_findings[:8])})\n" if score.clean_findings else "\n")


def _print_misses(examples: Sequence[Example], found: Sequence[Sequence[Finding]]) -> None:
    shown: Counter[Any] = Counter()
    for example, findings in zip(examples, found, strict=True):
        for span in example.spans:
            if span.kind not in _INDIRECT and not is_covered(span, findings):
                shown[span.kind] += 1
                line = example.text[max(0, span.start - 40) : span.end + 20]
                sys.stdout.write(f"  missed {span.kind}: {example.text[span.start : span.end]!r} in {line!r}\n")
        for each in findings:
            if each.kind not in _INDIRECT and not is_right(each, example.spans):
                line = example.text[max(0, each.start - 30) : each.end + 20]
                value = example.text[each.start : each.end]
                sys.stdout.write(f"  wrong {each.kind} by {each.recognizer}: {value!r} in {line!r}\n")


if __name__ == "__main__":
    sys.exit(main())
