"""Finds the value beside or below a label: ``Invoice no.: 4711``, ``TOTAL | 12.40``."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipelines.multimodal.filling.values import kind_of, read_value

_WORD = re.compile(r"[a-z]+|\d+")
_SPLIT = re.compile(r"(?<=[a-z])(?=[A-Z])|[_\-\s]+")
_SAME: tuple[frozenset[str], ...] = (
    frozenset({"invoice number", "invoice no", "invoice", "number", "invoice id", "inv no"}),
    frozenset({"receipt number", "receipt no", "receipt"}),
    frozenset({"due date", "payment due", "due", "pay by", "due by"}),
    frozenset({"customer", "bill to", "billed to", "client", "customer name"}),
    frozenset({"order number", "order no", "order", "purchase order", "po number"}),
)
_LABEL_MAX_CHARACTERS = 200
# Where a cell like "Invoice # EUR 12" is split, within the few characters before its first digit.
_BEFORE_DIGIT = re.compile(r"\D+")
_SEPARATED = re.compile(r"[\s#:]([-$€£]?\s?[A-Za-z]{0,4}-?)$")
_SIGNS_MAX_CHARACTERS = 8


@dataclass(frozen=True, slots=True)
class Match:
    """A value, its confidence, the indexes of the lines that it was read from, and for None the reason."""

    value: Any
    confidence: float
    lines: tuple[int, ...]
    note: str | None = None


def find(name: str, schema: Mapping[str, Any], lines: Sequence[Mapping[str, Any]]) -> Match | None:
    """The best match for the property `name`; None when nothing fits."""
    wanted = _wanted(name, schema)
    kind = kind_of(schema)
    best: Match | None = None
    for label, text, used in _pairs(lines):
        if len(label) > _LABEL_MAX_CHARACTERS or (score := _score(words_of(label), wanted)) == 0:
            continue
        value = read_value(text, schema)
        if value is None:
            continue
        match = Match(value, round(score * min(float(lines[index]["confidence"]) for index in used), 3), used)
        # Receipts print "total" more than once; the sums stand at the end.
        if best is None or match.confidence > best.confidence + (-0.01 if kind == "number" else 0):
            best = match
    return best


def _wanted(name: str, schema: Mapping[str, Any]) -> frozenset[str]:
    names = {" ".join(words_of(" ".join(_SPLIT.split(name))))}
    if title := schema.get("title"):
        names.add(" ".join(words_of(str(title))))
    return frozenset(names.union(*(same for same in _SAME if same & names)))


def words_of(text: str) -> tuple[str, ...]:
    """Words and numbers of `text` in lower case."""
    return tuple(_WORD.findall(text.lower()))


def _score(label: tuple[str, ...], wanted: frozenset[str]) -> float:
    """1 for the label itself; less when it holds more words than the wanted one."""
    if not label or len(label) > 6:  # noqa: PLR2004 - a sentence is no label
        return 0.0
    best = 0.0
    for name in wanted:
        words = tuple(name.split())
        if label == words:
            return 0.98
        if words and (label[: len(words)] == words or label[-len(words) :] == words):
            is_other = len(words) == 1 and bool({"sub", "due", "items", "saved", "tax", "order"} & set(label))
            best = max(best, 0.0 if is_other else 0.8)
    return best


def _pairs(lines: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, str, tuple[int, ...]]]:
    """Possible (label, text of the value, indexes of lines), the nearest first."""
    for index, line in enumerate(lines):
        cells = [cell["text"] for cell in line.get("cells") or [{"text": line["text"]}]]
        for position, cell in enumerate(cells):
            label, colon, rest = cell.partition(":")
            if colon and rest.strip():
                yield label, rest, (index,)
            elif position + 1 < len(cells):
                yield cell, cells[position + 1], (index,)
                if position + 2 < len(cells):
                    yield cell, cells[-1], (index,)
            elif parted := _parted(cell):
                yield *parted, (index,)
            if (position + 1 == len(cells) or cell.endswith(":")) and not rest.strip() and len(cells) == 1:
                below = _below(index, line, lines)
                if below is not None:
                    yield cell, lines[below]["text"], (index, below)


def _parted(cell: str) -> tuple[str, str] | None:
    """A label and the value that starts with the cell's first digit, or with the signs before it."""
    head = _BEFORE_DIGIT.match(cell)
    if head is None or head.end() == len(cell):
        return None
    at = _SEPARATED.search(cell, max(0, head.end() - _SIGNS_MAX_CHARACTERS), head.end())
    label = cell[: at.start()].rstrip(" \t\n\r\f\v\u00a0#:") if at else ""
    return (label, cell[at.start(1) :]) if at and label else None


def _below(index: int, line: Mapping[str, Any], lines: Sequence[Mapping[str, Any]]) -> int | None:
    if index + 1 >= len(lines) or "box" not in line or "box" not in lines[index + 1]:
        return None
    here, there = line["box"], lines[index + 1]["box"]
    height = here[3] - here[1]
    is_below = 0 <= there[1] - here[1] < 3 * height and abs(there[0] - here[0]) < 2 * height
    return index + 1 if is_below and line.get("part") == lines[index + 1].get("part") else None
