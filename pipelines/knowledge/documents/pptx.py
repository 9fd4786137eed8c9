"""PowerPoint presentations (Office Open XML, PresentationML): slides as pages, with tables, charts and notes."""

from collections.abc import Iterator
from typing import Any

from pipelines.knowledge.documents.document import Builder, Document, LeftOut
from pipelines.knowledge.documents.errors import TOO_LARGE, UnreadableDocument
from pipelines.knowledge.documents.limits import Limits
from pipelines.knowledge.documents.packages import Package, relation_of
from pipelines.knowledge.documents.tables import add_table
from pipelines.knowledge.documents.xlsx_values import whole

MEDIA_TYPE = "application/vnd.openxmlformats-officedocument.presentationml.presentation"

_TITLES = frozenset({"title", "ctrTitle"})
_RUNNING = {"ftr": "running_head", "hdr": "running_head", "dt": "running_head", "sldNum": "page_number"}
_DEEPEST = 50


def read_pptx(data: bytes, *, fallback_title: str, limits: Limits) -> Document:
    """Read a presentation in the order of its slides. Hidden slides and comments are left out and named.

    Raises `UnreadableDocument`: damaged, encrypted, or with more slides than the limit.
    """
    package = Package(data, limits)
    main = package.main("ppt/presentation.xml")
    relations = package.relations(main)
    listed = [relations.get(relation_of(each), ("", ""))[1] for each in package.tree(main).iter("sldId")]
    slides = [part for part in listed if part in package.names]
    if len(slides) > limits.pages:
        detail = f"This presentation has {len(slides):,} slides; at most {limits.pages:,} are read."
        raise UnreadableDocument(detail, code=TOO_LARGE)
    builder = Builder(MEDIA_TYPE)
    builder.title = "" if package.title().strip().lower().startswith("powerpoint") else package.title()
    builder.page_count = len(slides)
    for number, part in enumerate(slides, start=1):
        builder.begin_page(number)
        _Slide(package, builder, part, number).read()
    return builder.build(fallback_title=fallback_title)


class _Slide:
    """Reads one slide: its title first, then its shapes in order, then its notes."""

    def __init__(self, package: Package, builder: Builder, part: str, number: int) -> None:
        self._package = package
        self._builder = builder
        self._part = part
        self._number = number
        self._relations = package.relations(part)

    def read(self) -> None:
        root = self._package.tree(self._part)
        if root.get("show") in {"0", "false"}:
            self._leave_out("hidden_slide", " ".join(_paragraphs(root)))
            return
        shapes = [shape for tree in root.iter("spTree") for shape in _shapes(tree, 0)]
        for shape in shapes:
            if _placeholder(shape) in _TITLES:
                self._builder.heading(" ".join(_paragraphs(shape)), 1)
        for shape in shapes:
            self._shape(shape)
        self._related()

    def _shape(self, shape: Any) -> None:
        kind = _placeholder(shape)
        if kind in _TITLES:
            return
        if kind in _RUNNING:
            self._leave_out(_RUNNING[kind], " ".join(_paragraphs(shape)))
        elif shape.tag == "pic":
            self._leave_out("picture", _described(shape))
        elif shape.tag == "graphicFrame":
            self._frame(shape)
        else:
            for body in shape.iter("txBody"):
                self._text(body)

    def _text(self, body: Any) -> None:
        for paragraph in body.iterchildren("p"):
            properties = paragraph.find("pPr")
            level = properties.get("lvl", "0") if properties is not None else "0"
            bullet = properties is not None and any(properties.find(tag) is not None for tag in ("buChar", "buAutoNum"))
            if bullet or level != "0":
                self._builder.item(_text_of(paragraph), depth=min(whole(level, 0), _DEEPEST))
            else:
                self._builder.paragraph(_text_of(paragraph))

    def _frame(self, frame: Any) -> None:
        for table in frame.iter("tbl"):
            rows = list(_table_rows(table))
            add_table(self._builder, rows[:1], rows[1:])
            return
        for chart in frame.iter("chart"):
            part = self._relations.get(relation_of(chart), ("", ""))[1]
            if part in self._package.names:
                self._chart(self._package.tree(part))
                return
        for diagram in frame.iter("relIds"):
            part = self._relations.get(relation_of(diagram, "dm"), ("", ""))[1]
            if part in self._package.names:
                for text in _paragraphs(self._package.tree(part)):
                    self._builder.item(text)
                return
        self._leave_out("embedded", _described(frame))

    def _chart(self, chart: Any) -> None:
        for title in chart.iter("title"):
            self._builder.paragraph(" ".join(_paragraphs(title)))
        series = [(_points(each, "tx"), _points(each, "cat", "xVal"), _points(each, "val", "yVal"))
                  for each in chart.iter("ser")]  # fmt: skip
        labels: dict[int, str] = {}
        for _, categories, _ in series:
            labels = {**categories, **labels}
        places = sorted({*labels, *(place for _, _, values in series for place in values)})
        names = ["", *(" ".join(name.values()) for name, _, _ in series)]
        rows = [[labels.get(place, ""), *(values.get(place, "") for _, _, values in series)] for place in places]
        add_table(self._builder, [names], rows)

    def _related(self) -> None:
        for kind, target in self._relations.values():
            if target not in self._package.names:
                continue
            if kind == "notesSlide":
                for shape in self._package.tree(target).iter("sp"):
                    if _placeholder(shape) == "body" and (notes := list(_paragraphs(shape))):
                        self._builder.paragraph("\n".join(["Notes:", *notes]))
            elif "comment" in kind.lower():
                for comment in self._package.tree(target).iter("cm"):
                    self._leave_out("comment", " ".join(each.text or "" for each in comment.iter("text", "t")))

    def _leave_out(self, what: str, text: str) -> None:
        self._builder.leave_out(LeftOut(what, text, (self._number,)))


def _shapes(tree: Any, depth: int) -> Iterator[Any]:
    for child in tree:
        if child.tag in {"sp", "pic", "graphicFrame", "cxnSp"}:
            yield child
        elif child.tag == "grpSp" and depth < _DEEPEST:
            yield from _shapes(child, depth + 1)
        elif child.tag == "AlternateContent" and depth < _DEEPEST:
            # The first form is the newest; the fallback has the same content, often as a picture.
            for choice in list(child.iterchildren("Choice"))[:1] or child.iterchildren("Fallback"):
                yield from _shapes(choice, depth + 1)


def _placeholder(shape: Any) -> str:
    """The kind of placeholder of a shape; empty when it is none, ``body`` when it names no kind."""
    for path in ("nvSpPr/nvPr/ph", "nvPicPr/nvPr/ph", "nvGraphicFramePr/nvPr/ph"):
        found = shape.find(path)
        if found is not None:
            return str(found.get("type", "body"))
    return ""


def _described(shape: Any) -> str:
    named = next(shape.iter("cNvPr"), None)
    return "" if named is None else str(named.get("descr", ""))


def _paragraphs(element: Any) -> Iterator[str]:
    for paragraph in element.iter("p"):
        if text := _text_of(paragraph).strip():
            yield text


def _text_of(paragraph: Any) -> str:
    shown = (each for each in paragraph.iter("t", "br") if next(each.iterancestors("Fallback"), None) is None)
    return "".join("\n" if each.tag == "br" else each.text or "" for each in shown)


def _table_rows(table: Any) -> Iterator[list[str]]:
    above: list[str] = []
    for row in table.iterchildren("tr"):
        cells: list[str] = []
        for cell in row.iterchildren("tc"):
            if cell.get("hMerge") in {"1", "true"} and cells:
                cells.append(cells[-1])
            elif cell.get("vMerge") in {"1", "true"}:
                cells.append(above[len(cells)] if len(cells) < len(above) else "")
            else:
                cells.append(" ".join(_paragraphs(cell)))
        above = cells
        yield cells


def _points(series: Any, *names: str) -> dict[int, str]:
    """The cached values of a part of a series, by their place."""
    found: dict[int, str] = {}
    for name in names:
        for part in series.iterchildren(name):
            for point in part.iter("pt"):
                place = whole(point.get("idx"), -1)
                if place >= 0:
                    found[place] = " ".join(each.text or "" for each in point.iter("v"))
            for value in part.iterchildren("v"):
                found[0] = value.text or ""
    return found
