"""Content laid over a PDF's pages: the values of its form (ISO 32000, 12.7), text boxes, and remarks."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from pipelines.knowledge.documents.document import LeftOut, clean, one_line
from pipelines.knowledge.documents.pdf_glyphs import PageText
from pipelines.knowledge.documents.pdf_layout import Fragment

_ANCESTORS_MAX = 32
_PER_PAGE_MAX = 5000
_HIDDEN = 0x02 | 0x20  # hidden, or not shown on a screen
_PASSWORD, _PUSH_BUTTON = 1 << 13, 1 << 16
_PLAIN_STATES = frozenset({"yes", "on", "true", "checked", "ja", "oui", "si", "x"})
_DEFAULT_SIZE = 10.0
_LINE_PITCH = 1.2
_SAME_LINE = 0.7


@dataclass(frozen=True, slots=True)
class Overlay:
    """Text in a rectangle (left, bottom, right, top) of a page, in points."""

    rectangle: tuple[float, float, float, float]
    lines: tuple[str, ...]


def read_annotations(page: Any, number: int) -> tuple[list[Overlay], list[LeftOut]]:
    """The texts that a reader sees laid over a page of pypdf, and which of the others are not read."""
    overlays: list[Overlay] = []
    left_out: list[LeftOut] = []
    listed = page.get("/Annots")
    listed = listed.get_object() if listed is not None else ()
    annotations = list(listed or ())
    if len(annotations) > _PER_PAGE_MAX:
        left_out.append(LeftOut("form_field", pages=(number,), count=len(annotations) - _PER_PAGE_MAX))
    for reference in annotations[:_PER_PAGE_MAX]:
        annotation = reference.get_object()
        if not hasattr(annotation, "get"):
            continue
        kind = annotation.get("/Subtype")
        if kind == "/Widget":
            text, what = _field_value(annotation), "form_field"
        else:
            text, what = clean(str(annotation.get("/Contents") or "")), "comment"
        if not text.strip() or kind in {"/Link", "/Popup"}:
            continue
        shown = not int(annotation.get("/F", 0)) & _HIDDEN
        rectangle = _rectangle(annotation)
        if kind in {"/Widget", "/FreeText"} and shown and rectangle is not None:
            lines = tuple(line for line in text.split("\n") if line.strip())
            overlays.append(Overlay(rectangle, lines))
        else:
            named = f"{_name(annotation)}: {text}".removeprefix(": ") if kind == "/Widget" else text
            left_out.append(LeftOut(what, one_line(named), (number,)))
    return overlays, left_out


def lay_over(found: PageText, overlays: Sequence[Overlay]) -> None:
    """Put each text beside the text on its line, else below the text above it, unless the page shows it already."""
    for overlay in overlays:
        corners = found.frame.place(*overlay.rectangle[:2]), found.frame.place(*overlay.rectangle[2:])
        (left, right), (bottom, top) = (sorted(pair) for pair in zip(*corners, strict=True))
        inside = [each for each in found.fragments if _is_inside(each, left, bottom, right, top)]
        shown = " ".join(one_line(each.text) for each in inside)
        if inside and one_line(" ".join(overlay.lines)) in one_line(shown):
            continue
        index, beside = _neighbor(found.fragments, (left, bottom, right, top), len(overlay.lines))
        size = beside.size if beside is not None else _DEFAULT_SIZE
        y = beside.y if beside is not None else top - size
        for offset, line in enumerate(overlay.lines):
            end = max(right, left + 1.0) if len(overlay.lines) > 1 else left + len(line) * size * 0.5
            found.fragments.insert(
                index + offset, Fragment(left, y - offset * _LINE_PITCH * size, line, size, bold=False, end=end)
            )


def _is_inside(fragment: Fragment, left: float, bottom: float, right: float, top: float) -> bool:
    middle_x, middle_y = (fragment.x + fragment.end) / 2, fragment.y + 0.3 * fragment.size
    return left <= middle_x <= right and bottom <= middle_y <= top


def _neighbor(
    fragments: Sequence[Fragment], box: tuple[float, float, float, float], lines: int
) -> tuple[int, Fragment | None]:
    """Where in the drawing order a text goes, and its neighbor; None when its line is empty."""
    left, bottom, right, top = box
    middle = (top + bottom) / 2
    before: tuple[float, int] | None = None
    behind: tuple[float, int] | None = None
    above: tuple[float, int] | None = None
    for index, each in enumerate(fragments):
        height = each.y + 0.3 * each.size
        on_line = abs(height - middle) <= _SAME_LINE * each.size if lines == 1 else bottom <= height <= top
        if on_line and each.end <= left + each.size:
            before = min(before or (left - each.end, index), (left - each.end, index))
        elif on_line and each.x >= right - each.size:
            behind = min(behind or (each.x - right, index), (each.x - right, index))
        elif height > middle:
            above = min(above or (height - middle, -index), (height - middle, -index))
    # A checkbox comes before its label, which is closer than the label of the checkbox before.
    if before is not None and (behind is None or before[0] <= behind[0]):
        return before[1] + 1, fragments[before[1]]
    if behind is not None:
        return behind[1], fragments[behind[1]]
    return (1 - above[1] if above is not None else len(fragments)), None


def _field_value(widget: Any) -> str:
    kind, flags = _inherited(widget, "/FT"), int(_inherited(widget, "/Ff") or 0)
    value = _inherited(widget, "/V")
    if kind == "/Btn":
        return "" if flags & _PUSH_BUTTON else _button(widget)
    if kind == "/Tx" and flags & _PASSWORD:
        return ""
    if kind == "/Ch":
        shown = {}
        for option in _inherited(widget, "/Opt") or ():
            pair = option.get_object()
            if isinstance(pair, list) and len(pair) > 1:
                shown[str(pair[0])] = str(pair[1])
        values = value if isinstance(value, list) else [value]
        return clean(", ".join(shown.get(str(each), str(each)) for each in values if each is not None))
    if hasattr(value, "get_data"):
        value = value.get_data().decode("utf-8", "replace")
    return clean(str(value)) if isinstance(value, str) and kind in {"/Tx", None} else ""


def _button(widget: Any) -> str:
    state = str(widget.get("/AS") or _inherited(widget, "/V") or "/Off").removeprefix("/")
    if state == "Off":
        return "[ ]"
    # The state's name is a word only where an author chose it; programs use numbers.
    return f"[x] {state}" if state.isalpha() and state.casefold() not in _PLAIN_STATES else "[x]"


def _inherited(widget: Any, key: str) -> Any:
    for _, holder in zip(range(_ANCESTORS_MAX), _ancestry(widget), strict=False):
        if key in holder:
            value = holder[key]
            return value.get_object() if hasattr(value, "get_object") else value
    return None


def _ancestry(widget: Any) -> Iterator[Any]:
    while widget is not None:
        yield widget
        parent = widget.get("/Parent")
        widget = parent.get_object() if parent is not None else None


def _name(widget: Any) -> str:
    return str(_inherited(widget, "/TU") or _inherited(widget, "/T") or "")


def _rectangle(annotation: Any) -> tuple[float, float, float, float] | None:
    corners = annotation.get("/Rect")
    if corners is not None:
        corners = corners.get_object()
    if not isinstance(corners, list) or len(corners) != 4:  # noqa: PLR2004 - two corners
        return None
    try:
        left, bottom, right, top = (float(corner) for corner in corners)
    except (TypeError, ValueError):
        return None
    return min(left, right), min(bottom, top), max(left, right), max(bottom, top)
