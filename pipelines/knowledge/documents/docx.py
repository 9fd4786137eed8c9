"""Word documents (Office Open XML, ECMA-376): headings by style or outline level, lists, tables, notes, pages."""

import re
import zipfile
from collections.abc import Iterator
from typing import Any

from docx.opc.exceptions import OpcError
from docx.oxml.ns import qn
from lxml import etree  # type: ignore[import-untyped]

from pipelines.knowledge.documents.document import Builder, Document, LeftOut, one_line
from pipelines.knowledge.documents.docx_package import elements_of, open_package
from pipelines.knowledge.documents.docx_text import BOX, FALLBACK, TextReader, is_page_break
from pipelines.knowledge.documents.errors import CORRUPT, UnreadableDocument
from pipelines.knowledge.documents.limits import Limits
from pipelines.knowledge.documents.numbering import Numbering

MEDIA_TYPE = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"

_BODY_TEXT_LEVEL = 9
_DEEPEST_TABLE = 8
_VAL = qn("w:val")
_OFF = frozenset({"0", "false", "off"})
_PICTURE = "{http://schemas.openxmlformats.org/drawingml/2006/picture}pic"
_DRAWN_TEXT = "{http://schemas.openxmlformats.org/drawingml/2006/main}t"
_TEMPLATE_TITLE = re.compile(r"(word document|document ?\d*|microsoft word - .*)", re.IGNORECASE)


def read_docx(data: bytes, *, fallback_title: str, limits: Limits) -> Document:
    """Read a Word document. Pages are known where Word recorded its page breaks, or where they were set by hand.

    Raises `UnreadableDocument`: corrupt, encrypted, or larger than `limits` once unpacked.
    """
    try:
        return _Reader(open_package(data, limits)).read(fallback_title)
    except (OpcError, etree.XMLSyntaxError, KeyError, ValueError, AttributeError, zipfile.BadZipFile) as error:
        # python-docx does not validate: a part that is missing or of another kind appears as any of these.
        raise UnreadableDocument("This Word document is damaged and cannot be opened.", code=CORRUPT) from error


class _Reader:
    """Walks the body once. Content controls are entered; tables of contents are left out."""

    def __init__(self, opened: Any) -> None:
        self._parts = opened.part.rels.values()
        self._body = opened.element.body
        self._styles = {style.style_id: style.element for style in opened.styles}
        self._names = {style.style_id: style.name or "" for style in opened.styles}
        self._numbering = Numbering(next(elements_of(self._parts, "numbering"), None))
        self._text = TextReader(frozenset(style for style in self._styles if self._is_hidden(style)))
        self._builder = Builder(MEDIA_TYPE)
        core_title = opened.core_properties.title or ""
        self._builder.title = "" if _TEMPLATE_TITLE.fullmatch(core_title.strip()) else core_title
        # Word records where its pages ended when it last saved; breaks set by hand are recorded there once more.
        self._recorded = next(self._body.iter(qn("w:lastRenderedPageBreak")), None) is not None
        self._page = 1
        self._has_pages = self._recorded or any(is_page_break(element) for element in self._body.iter(qn("w:br")))

    def read(self, fallback_title: str) -> Document:
        if self._has_pages:
            self._builder.begin_page(1)
        self._walk(self._body)
        for note in elements_of(self._parts, "footnotes", "endnotes", below=("w:footnote", "w:endnote")):
            # The first ones are the lines that separate notes from the text.
            if note.get(qn("w:type")) is None:
                self._walk(note)
        self._edges()
        self._name_left_out()
        if self._has_pages:
            self._builder.page_count = self._page
        return self._builder.build(fallback_title=fallback_title)

    def _walk(self, container: Any) -> None:
        for element in _blocks(container):
            if element.tag == qn("w:tbl"):
                self._table(element)
            else:
                self._paragraph(element)
            for box in _boxes(element):
                self._walk(box)

    def _edges(self) -> None:
        """Headers and footers, each once: sections repeat them, mostly without any difference."""
        seen: set[str] = set()
        for edge in elements_of(self._parts, "header", "footer"):
            text = one_line(" ".join(edge.itertext(qn("w:t"))))
            if text and text not in seen and not text.isdigit():
                self._walk(edge)
            elif text.isdigit():
                self._builder.leave_out(LeftOut("page_number", text))
            seen.add(text)

    def _name_left_out(self) -> None:
        found = [
            ("comment", elements_of(self._parts, "comments", below=("w:comment",))),
            ("deleted", self._body.iter(qn("w:del"), qn("w:moveFrom"))),
            ("navigation", (each for each in self._body.iter(qn("w:sdt")) if _is_contents(each))),
            ("chart", elements_of(self._parts, "chart")),
            ("diagram", elements_of(self._parts, "diagramData")),
        ]
        for what, elements in found:
            for element in elements:
                texts = element.itertext(qn("w:t"), qn("w:delText"), _DRAWN_TEXT)
                text = " ".join(piece for piece in texts if piece.strip())
                if text or what == "chart":
                    self._builder.leave_out(LeftOut(what, text))
        for what, text in self._text.left_out:
            self._builder.leave_out(LeftOut(what, text))
        for picture in self._body.iter(_PICTURE):
            drawing = next(picture.iterancestors(qn("wp:inline"), qn("wp:anchor")), None)
            described = None if drawing is None else drawing.find(qn("wp:docPr"))
            self._builder.leave_out(LeftOut("picture", "" if described is None else described.get("descr", "")))
        for _ in self._body.iter(qn("w:object"), qn("w:altChunk")):
            self._builder.leave_out(LeftOut("embedded"))

    def _paragraph(self, paragraph: Any) -> None:
        breaks = self._count_breaks(paragraph)
        # A break is nearly always at the start of its paragraph, or the only content of one.
        self._turn(breaks)
        text = self._text.read(paragraph)
        style = _child_value(paragraph, "w:pPr", "w:pStyle")
        level = self._heading_level(paragraph, style)
        number = self._number(paragraph, style)
        if level is not None:
            self._builder.heading(text, level)
        elif number is not None and text.strip():
            depth = number[1] or _depth_by_name(self._names.get(style or "", ""))
            self._builder.item(text, marker=self._numbering.marker(*number), depth=depth)
        else:
            self._builder.paragraph(text)

    def _table(self, table: Any) -> None:
        self._turn(self._count_breaks(table))
        self._builder.table(list(self._rows(table, 0)))

    def _count_breaks(self, element: Any) -> int:
        if self._recorded:
            return sum(1 for _ in element.iter(qn("w:lastRenderedPageBreak")))
        return sum(1 for found in element.iter(qn("w:br")) if is_page_break(found))

    def _turn(self, pages: int) -> None:
        for _ in range(pages):
            self._page += 1
            self._builder.begin_page(self._page)

    def _heading_level(self, paragraph: Any, style: str | None) -> int | None:
        """0 for the title, 1 to 9 for headings, None for text. Levels come from the style, whatever its language."""
        own = _child_value(paragraph, "w:pPr", "w:outlineLvl")
        if own is None:
            for element in self._inherited(style):
                if self._names.get(element.get(qn("w:styleId")), "") == "Title":
                    return 0
                own = _child_value(element, "w:pPr", "w:outlineLvl")
                if own is not None:
                    break
        if own is None or not own.isdigit() or int(own) >= _BODY_TEXT_LEVEL:
            return None
        return int(own) + 1

    def _number(self, paragraph: Any, style: str | None) -> tuple[str, int] | None:
        """(numbering instance, level) of a list item; None for other paragraphs."""
        for element in (paragraph, *self._inherited(style)):
            properties = element.find(f"{qn('w:pPr')}/{qn('w:numPr')}")
            if properties is not None:
                instance = properties.find(qn("w:numId"))
                level = properties.find(qn("w:ilvl"))
                identifier = instance.get(_VAL, "0") if instance is not None else "0"
                depth = level.get(_VAL, "0") if level is not None else "0"
                return (identifier, int(depth) if depth.isdigit() else 0) if identifier != "0" else None
        return None

    def _is_hidden(self, style: str) -> bool:
        for element in self._inherited(style):
            hidden = element.find(f"{qn('w:rPr')}/{qn('w:vanish')}")
            if hidden is not None:
                return hidden.get(_VAL, "1") not in _OFF
        return False

    def _rows(self, table: Any, depth: int) -> Iterator[list[str]]:
        """Rows of cell texts. A cell merged over columns appears once, one merged over rows in its first row."""
        for row in table.iter(qn("w:tr")):
            if next(row.iterancestors(qn("w:tbl"))) is not table:
                continue
            cells = []
            for cell in row.iter(qn("w:tc")):
                if next(cell.iterancestors(qn("w:tr"))) is not row:
                    continue
                merged = cell.find(f"{qn('w:tcPr')}/{qn('w:vMerge')}")
                continued = merged is not None and merged.get(_VAL, "continue") == "continue"
                cells.append("" if continued else self._cell(cell, depth))
            yield cells

    def _cell(self, cell: Any, depth: int) -> str:
        pieces = []
        for block in _blocks(cell):
            if block.tag == qn("w:p"):
                pieces.append(self._text.read(block))
            elif depth < _DEEPEST_TABLE:
                pieces.extend(", ".join(row) for row in self._rows(block, depth + 1))
            else:
                pieces.extend(block.itertext(qn("w:t")))
        return " ".join(piece for piece in pieces if piece.strip())

    def _inherited(self, style: str | None) -> Iterator[Any]:
        seen: set[str] = set()
        while style and style not in seen and style in self._styles:
            seen.add(style)
            yield self._styles[style]
            based_on = self._styles[style].find(qn("w:basedOn"))
            style = based_on.get(_VAL) if based_on is not None else None


def _blocks(body: Any) -> Iterator[Any]:
    for child in body:
        if child.tag in {qn("w:p"), qn("w:tbl")}:
            yield child
        elif child.tag == qn("w:sdt"):
            content = child.find(qn("w:sdtContent"))
            if content is not None and not _is_contents(child):
                yield from _blocks(content)
        elif child.tag in {qn("w:ins"), qn("w:moveTo"), qn("w:customXml"), qn("w:smartTag")}:
            yield from _blocks(child)


def _is_contents(control: Any) -> bool:
    gallery = control.find(f"{qn('w:sdtPr')}//{qn('w:docPartGallery')}")
    return gallery is not None and bool(gallery.get(_VAL) == "Table of Contents")


def _boxes(element: Any) -> Iterator[Any]:
    """The outermost text boxes in a paragraph or table, each once: old Word's copy of one is passed over."""
    for child in element:
        if child.tag == BOX:
            yield child
        elif child.tag != FALLBACK:
            yield from _boxes(child)


def _child_value(element: Any, *names: str) -> str | None:
    found = element.find("/".join(qn(name) for name in names))
    value: str | None = found.get(_VAL) if found is not None else None
    return value


def _depth_by_name(style_name: str) -> int:
    """Word's built-in ``List Bullet 2`` is one deeper than ``List Bullet``, by indentation only."""
    match = re.fullmatch(r"List (?:Bullet|Number|Continue)? ?([2-5])", style_name)
    return int(match.group(1)) - 1 if match else 0
