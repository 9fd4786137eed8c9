"""Rows of a printed table as a list of objects, columns chosen by the words of their heads."""

from collections.abc import Mapping, Sequence
from typing import Any

from pipelines.multimodal.filling.labels import Match, words_of
from pipelines.multimodal.filling.money import CENTS, label_words, role_of
from pipelines.multimodal.filling.values import read_value

_SAME = (
    {"description", "item", "name", "product", "article", "service"},
    {"quantity", "qty", "count", "pieces"},
    {"price", "unit", "rate"},
    {"amount", "total", "sum", "value"},
)


def find_rows(schema: Mapping[str, Any], lines: Sequence[Mapping[str, Any]]) -> Match | None:
    """The first table whose head names at least two (or all) of the item's properties."""
    properties = properties_of_items(schema)
    if not properties:
        return None
    has_money = any(_means(name, head, exact=False) for name in properties for head in ("amount", "price"))
    for start, head in enumerate(lines):
        if has_money and _is_sum(head):
            break
        columns = _columns(properties, head.get("cells", ()))
        if len(columns) < min(2, len(properties)):
            continue
        rows, used = [], [start]
        for index in range(start + 1, len(lines)):
            cells = lines[index].get("cells", ())
            if has_money and _is_sum(lines[index]):
                break
            if len(cells) < max(2, len(head["cells"]) - 1) or lines[index].get("part") != head.get("part"):
                break
            row = _row(properties, columns, head["cells"], cells)
            # A table's sums stand below it, and fill one column.
            if 2 * sum(row[name] is not None for name in columns) <= len(columns):
                break
            rows.append(row)
            used.append(index)
        if rows:
            sure = min(float(lines[index]["confidence"]) for index in used)
            return Match(rows, round(0.85 * sure, 3), tuple(used))
    return None


def properties_of_items(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """The properties of an array's items; empty where its schema names none."""
    items = schema.get("items")
    found = items.get("properties", {}) if isinstance(items, dict) else {}
    return {name: wanted if isinstance(wanted, dict) else {} for name, wanted in found.items()}


def _is_sum(line: Mapping[str, Any]) -> bool:
    """Whether a line names a total, a tax or a payment, and its amount."""
    text = str(line["text"])[:300]
    return role_of(label_words(text), None)[0] is not None and CENTS.search(text) is not None


def _columns(properties: Mapping[str, Any], cells: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    chosen: dict[str, int] = {}
    for exact in (True, False):
        for name in properties:
            for number, cell in enumerate(cells):
                if name not in chosen and number not in chosen.values() and _means(name, cell["text"], exact=exact):
                    chosen[name] = number
    return chosen


def _means(name: str, head: str, *, exact: bool) -> bool:
    wanted, there = set(words_of(name.replace("_", " "))), set(words_of(head))
    if exact:
        return wanted == there
    return bool(wanted & there) or any(wanted & same and there & same for same in _SAME)


def _row(
    properties: Mapping[str, Any],
    columns: Mapping[str, int],
    heads: Sequence[Mapping[str, Any]],
    cells: Sequence[Mapping[str, Any]],
) -> dict[str, Any]:
    """Assign each cell to the head above it, by the distance of left, right and middle."""
    row: dict[str, Any] = dict.fromkeys(properties)
    for name, number in columns.items():
        head = heads[number]["box"]
        nearest = min(cells, key=lambda cell: _distance(cell["box"], head))
        owner = min(range(len(heads)), key=lambda other: _distance(nearest["box"], heads[other]["box"]))
        if owner == number:
            row[name] = read_value(nearest["text"], properties[name])
    return row


def _distance(one: Sequence[float], other: Sequence[float]) -> float:
    return min(abs(one[0] - other[0]), abs(one[2] - other[2]), abs(one[0] + one[2] - other[0] - other[2]) / 2)
