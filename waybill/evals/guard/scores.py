"""Scores findings against labels: recall, precision and F2 by kind, and findings where nothing is labeled.

F2 counts recall twice. Places and organizations identify a person only indirectly: they count where the data labels
them, and never among the characters covered or the findings in texts without a label.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from core.guard.policy import DEFAULT_THRESHOLD
from core.guard.records import EntityKind, Finding
from waybill.evals.guard.spans import Example, is_covered, is_right, kind_of, overlap

INDIRECT = frozenset({EntityKind.LOCATION, EntityKind.ORGANIZATION})


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
    """The score of one recognizer on one set.

    `covered` is the share of the characters of direct identifiers that are in findings of any kind; `clean_findings`
    are those in the `clean_texts` texts without a label, as kind and value.
    """

    kinds: Mapping[str, Counts]
    covered: float
    clean_texts: int
    clean_findings: Sequence[str]

    def as_json(self) -> dict[str, Any]:
        """The score without any value of a text."""
        return {
            "kinds": {
                kind: {
                    "spans": each.spans,
                    "findings": each.findings,
                    "recall": each.recall,
                    "precision": each.precision,
                    "f2": each.f2,
                }
                for kind, each in self.kinds.items()
            },
            "covered": self.covered,
            "clean_texts": self.clean_texts,
            "clean_findings": len(self.clean_findings),
        }


def score_of(examples: Sequence[Example], found: Sequence[Sequence[Finding]]) -> Score:
    """The score of `found`, the findings of each text, on `examples`."""
    believed = [[each for each in findings if each.score >= DEFAULT_THRESHOLD] for findings in found]
    pairs = list(zip(examples, believed, strict=True))
    return Score(
        _kinds(pairs),
        _covered(pairs),
        sum(not example.spans for example in examples),
        [
            f"{each.kind} {example.text[each.start : each.end]!r}"
            for example, findings in pairs
            if not example.spans
            for each in findings
            if each.kind not in INDIRECT
        ],
    )


_Pairs = Sequence[tuple[Example, Sequence[Finding]]]


def _kinds(pairs: _Pairs) -> dict[str, Counts]:
    counts: dict[str, Counts] = defaultdict(Counts)
    has_indirect = any(span.kind in INDIRECT for example, _ in pairs for span in example.spans)
    for example, findings in pairs:
        for span in example.spans:
            counts[kind_of(span.kind)].spans += 1
            counts[kind_of(span.kind)].found += is_covered(span, findings)
        for each in findings:
            if has_indirect or each.kind not in INDIRECT:
                counts[kind_of(each.kind)].findings += 1
                counts[kind_of(each.kind)].right += is_right(each, example.spans)
    return dict(counts)


def _covered(pairs: _Pairs) -> float:
    identifying = covered = 0
    for example, findings in pairs:
        for span in example.spans:
            if span.kind not in INDIRECT:
                identifying += span.end - span.start
                covered += overlap(span.start, span.end, findings)
    return covered / identifying if identifying else 0.0
