"""Reads texts with labeled personal data, in either of two forms, which one file may mix.

* A generated sample of Microsoft's presidio-research: ``full_text``, and ``spans`` of ``entity_type``,
  ``start_position`` and ``end_position``, in characters. Types are Presidio's, or kinds of our own in any case.
* A ``text`` in which each value is written as ``⟦kind|value⟧``, with kinds of our own.

A file that ends in ``.json`` is an array of them, one in ``.jsonl`` has one on each line.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.guard.records import EntityKind
from waybill.evals.files import Row, UnreadableData, read_array, read_lines
from waybill.evals.guard.spans import Example, Span

KINDS_OF_PRESIDIO: Mapping[str, str] = {
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
_KINDS = frozenset(EntityKind) - {EntityKind.INJECTION}
# Presidio has one type for all dates; dates of birth have one of these words before them.
_DATE_OF_BIRTH_WORDS = ("birth", "born")
_WORDS_BEFORE_LENGTH = 30


@dataclass(frozen=True, slots=True)
class LabeledTexts:
    """The texts of a file. `left_out` counts the labels of kinds that we do not have, by their type."""

    examples: list[Example]
    left_out: Mapping[str, int]


def read_labeled(path: Path) -> LabeledTexts:
    """Read a file. Raises `waybill.evals.files.UnreadableData`."""
    left_out: Counter[str] = Counter()
    rows = read_array(path) if path.suffix == ".json" else read_lines(path)
    examples = [_example(row, left_out) for row in rows]
    if not examples:
        raise UnreadableData(f"{path} holds no texts")
    return LabeledTexts(examples, dict(left_out))


def _example(row: Row, left_out: Counter[str]) -> Example:
    match row.values:
        case {"full_text": str(text), "spans": list(spans)}:
            labels = [_label(row, text, each) for each in spans]
            group = row.values.get("template_id")
        case {"text": str(marked)} if "spans" not in row.values:
            text, labels = _unmarked(row, marked)
            group = row.values.get("group")
        case _:
            raise UnreadableData(f"{row.place}: expected full_text and spans, or a text with marks")
    kept = []
    for name, start, end in labels:
        kind = _kind(name, text[max(0, start - _WORDS_BEFORE_LENGTH) : start])
        if kind is None:
            left_out[name] += 1
        else:
            kept.append(Span(kind, start, end))
    return Example(text, tuple(kept), str(group))


def _label(row: Row, text: str, span: Any) -> tuple[str, int, int]:
    match span:
        case {"entity_type": str(name), "start_position": int(start), "end_position": int(end)}:
            if not 0 <= start < end <= len(text):
                raise UnreadableData(
                    f"{row.place}: the span {start} to {end} ({name}) is outside of the text of {len(text)} characters"
                )
            if span.get("entity_value", text[start:end]) != text[start:end]:
                raise UnreadableData(f"{row.place}: the entity_value of the span {start} to {end} is not what is there")
            return name, start, end
    raise UnreadableData(f"{row.place}: expected spans with entity_type, start_position and end_position")


def _unmarked(row: Row, marked: str) -> tuple[str, list[tuple[str, int, int]]]:
    """The text without marks, and the kind and position of each marked value."""
    text, *pieces = marked.split("⟦")
    labels = []
    for piece in pieces:
        mark, _, rest = piece.partition("⟧")
        name, _, value = mark.partition("|")
        if "⟧" not in piece or not name or not value:
            raise UnreadableData(f"{row.place}: expected each mark as ⟦kind|value⟧")
        labels.append((name, len(text), len(text) + len(value)))
        text += value + rest
    if "⟧" in text:
        raise UnreadableData(f"{row.place}: a mark ends that did not begin")
    return text, labels


def _kind(name: str, before: str) -> str | None:
    if name == "DATE_TIME" and any(word in before.lower() for word in _DATE_OF_BIRTH_WORDS):
        return EntityKind.DATE_OF_BIRTH.value
    if name in KINDS_OF_PRESIDIO:
        return KINDS_OF_PRESIDIO[name]
    return name.lower() if name.lower() in _KINDS else None
