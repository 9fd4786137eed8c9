"""Word documents (Office Open XML, ECMA-376): headings by style or outline level, lists, tables, notes, pages."""

import io
import re
import zipfile
from collections.abc import Iterable, Iterator
from typing import Any

import docx
from docx.opc.exceptions import OpcError
from docx.oxml.ns import qn
from lxml import etree  # type: ignore[import-untyped]

from pipelines.knowledge.documents.document import Builder, Document, LeftOut
from pipelines.knowledge.documents.errors import CORRUPT, ENCRYPTED, TOO_LARGE, UnreadableDocument
from pipelines.knowledge.documents.limits import Limits
from pipelines.knowledge.documents.numbering import Numbering

MEDIA_TYPE = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"

_ENCRYPTED_FLAG = 0x1
_BODY_TEXT_LEVEL = 9
_DEEPEST_TABLE = 8
_VAL = qn("w:val")
_BOX = qn("w:txbxContent")
# Deleted and moved-away text, the old-Word copy of a drawing, and text boxes, which are read behind their paragraph.
_DROPPED = frozenset({qn("w:del"), qn("w:moveFrom"), _BOX})
_FALLBACK = "{http://schemas.openxmlformats.org/markup-compatibility/2006}Fallback"
_PICTURE = "{http://schemas.openxmlformats.org/drawingml/2006/picture}pic"
_TEMPLATE_TITLE = re.compile(r"(word document|document ?\d*|microsoft word - .*)", re.IGNORECASE)


def read_docx(data: bytes, *, fallback_title: str, limits: Limits) -> Document:
    """Read a Word document. Pages are known where Word recorded its page breaks, or where they were set by hand.

    Raises `UnreadableDocument`: corrupt, encrypted, or larger than `limits` once unpacked.
    """
    _check_archive(data, limits)
    try:
        opened = docx.Document(io.BytesIO(data))
        return _Reader(opened).read(fallback_title)
    except (OpcError, etree.XMLSyntaxError, KeyError, ValueError, AttributeError, zipfile.BadZipFile) as error:
        # python-docx does not validate: a part that is missing or of another kind shows as any of these.
        raise UnreadableDocument("This Word document is damaged and cannot be opened.", code=CORRUPT) from error


def _check_archive(data: bytes, limits: Limits) -> None:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            entries = archive.infolist()
    except (zipfile.BadZipFile, OSError, ValueError) as error:
        raise UnreadableDocument("This Word document is damaged and cannot be opened.", code=CORRUPT) from error
    if any(entry.flag_bits & _ENCRYPTED_FLAG for entry in entries):
        raise UnreadableDocument("This Word document is protected by a password.", code=ENCRYPTED)
    # zipfile never reads more of an entry than its directory announces, so the announced sizes are a bound.
    if sum(entry.file_size for entry in entries) > limits.uncompressed_bytes:
        raise UnreadableDocument(
            f"This Word document unpacks to more than {limits.uncompressed_bytes // 2**20} MiB.", code=TOO_LARGE
        )


class _Reader:
    """Walks the body once. Content controls are entered; tables of contents are left out."""

    def __init__(self, opened: Any) -> None:
        self._parts = opened.part.rels.values()
        self._body = opened.element.body
        self._styles = {style.style_id: style.element for style in opened.styles}
        self._names = {style.style_id: style.name or "" for style in opened.styles}
        self._numbering = Numbering(_numbering_part(opened))
        self._builder = Builder(MEDIA_TYPE)
        core_title = opened.core_properties.title or ""
        self._builder.title = "" if _TEMPLATE_TITLE.fullmatch(core_title.strip()) else core_title
        # Word records where its pages ended when it last saved; breaks set by hand are recorded there once more.
        self._recorded = next(self._body.iter(qn("w:lastRenderedPageBreak")), None) is not None
        self._page = 1
        self._has_pages = self._recorded or any(_is_page_break(element) for element in self._body.iter(qn("w:br")))

    def read(self, fallback_title: str) -> Document:
        if self._has_pages:
            self._builder.begin_page(1)
        self._walk(self._body)
        for note in _of_parts(self._parts, "footnotes", "endnotes", below=("w:footnote", "w:endnote")):
            # The first ones are the lines that separate notes from the text.
            if note.get(qn("w:type")) is None:
                self._walk(note)
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

    def _name_left_out(self) -> None:
        found = [
            ("running_head", _of_parts(self._parts, "header", "footer")),
            ("comment", _of_parts(self._parts, "comments", below=("w:comment",))),
            ("deleted", self._body.iter(qn("w:del"), qn("w:moveFrom"))),
            ("navigation", (each for each in self._body.iter(qn("w:sdt")) if _is_contents(each))),
        ]
        for what, elements in found:
            for element in elements:
                text = " ".join(piece for piece in element.itertext(qn("w:t"), qn("w:delText")) if piece.strip())
                if text:
                    self._builder.leave_out(LeftOut(what, text))
        for picture in self._body.iter(_PICTURE):
            drawing = next(picture.iterancestors(qn("wp:inline"), qn("wp:anchor")), None)
            described = None if drawing is None else drawing.find(qn("wp:docPr"))
            self._builder.leave_out(LeftOut("picture", "" if described is None else described.get("descr", "")))
        for _ in self._body.iter(qn("w:object")):
            self._builder.leave_out(LeftOut("embedded"))

    def _paragraph(self, paragraph: Any) -> None:
        breaks = self._count_breaks(paragraph)
        # A break nearly always stands at the beginning of its paragraph, or alone in one.
        self._turn(breaks)
        text = _text(paragraph)
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
        self._builder.table(list(_rows(table, 0)))

    def _count_breaks(self, element: Any) -> int:
        if self._recorded:
            return sum(1 for _ in element.iter(qn("w:lastRenderedPageBreak")))
        return sum(1 for found in element.iter(qn("w:br")) if _is_page_break(found))

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

    def _inherited(self, style: str | None) -> Iterator[Any]:
        seen: set[str] = set()
        while style and style not in seen and style in self._styles:
            seen.add(style)
            yield self._styles[style]
            based_on = self._styles[style].find(qn("w:basedOn"))
            style = based_on.get(_VAL) if based_on is not None else None


def _numbering_part(opened: Any) -> Any:
    for relation in opened.part.rels.values():
        if relation.reltype.endswith("/numbering") and not relation.is_external:
            return relation.target_part.element
    return None


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


def _of_parts(relations: Iterable[Any], *kinds: str, below: tuple[str, ...] = ()) -> Iterator[Any]:
    """The root elements of the parts of these kinds, or what stands directly below them."""
    for relation in relations:
        if relation.is_external or relation.reltype.rpartition("/")[2] not in kinds:
            continue
        part = relation.target_part
        root = getattr(part, "element", None)
        if root is None:
            root = etree.fromstring(part.blob, etree.XMLParser(resolve_entities=False, no_network=True))
        if below:
            yield from root.iterchildren(*(qn(name) for name in below))
        else:
            yield root


def _boxes(element: Any) -> Iterator[Any]:
    """The outermost text boxes in a paragraph or table, each once: old Word's copy of one is passed over."""
    for child in element:
        if child.tag == _BOX:
            yield child
        elif child.tag != _FALLBACK:
            yield from _boxes(child)


def _text(element: Any) -> str:
    """The text of a paragraph: insertions accepted, deletions rejected, hyperlinks and fields as they are shown."""
    return "".join(_pieces(element))


def _pieces(element: Any) -> Iterator[str]:
    for child in element:
        if child.tag in _DROPPED or child.tag == _FALLBACK:
            continue
        if child.tag == qn("w:t"):
            yield child.text or ""
        elif child.tag == qn("w:tab"):
            yield " "
        elif child.tag == qn("w:noBreakHyphen"):
            yield "-"
        elif child.tag in {qn("w:br"), qn("w:cr")}:
            yield "" if _is_page_break(child) else "\n"
        else:
            yield from _pieces(child)


def _rows(table: Any, depth: int) -> Iterator[list[str]]:
    """Rows of cell texts. A cell that is merged over columns stands once, one merged over rows in its first row."""
    for row in table.iter(qn("w:tr")):
        if next(row.iterancestors(qn("w:tbl"))) is not table:
            continue
        cells = []
        for cell in row.iter(qn("w:tc")):
            if next(cell.iterancestors(qn("w:tr"))) is not row:
                continue
            merged = cell.find(f"{qn('w:tcPr')}/{qn('w:vMerge')}")
            continued = merged is not None and merged.get(_VAL, "continue") == "continue"
            cells.append("" if continued else _cell(cell, depth))
        yield cells


def _cell(cell: Any, depth: int) -> str:
    pieces = []
    for block in _blocks(cell):
        if block.tag == qn("w:p"):
            pieces.append(_text(block))
        elif depth < _DEEPEST_TABLE:
            pieces.extend(", ".join(row) for row in _rows(block, depth + 1))
    return " ".join(piece for piece in pieces if piece.strip())


def _is_page_break(element: Any) -> bool:
    return bool(element.get(qn("w:type")) == "page")


def _child_value(element: Any, *names: str) -> str | None:
    found = element.find("/".join(qn(name) for name in names))
    value: str | None = found.get(_VAL) if found is not None else None
    return value


def _depth_by_name(style_name: str) -> int:
    """Word's built-in ``List Bullet 2`` is one deeper than ``List Bullet``, by indentation only."""
    match = re.fullmatch(r"List (?:Bullet|Number|Continue)? ?([2-5])", style_name)
    return int(match.group(1)) - 1 if match else 0
