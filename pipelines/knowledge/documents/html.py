"""HTML: the main content of the page without its navigation, found by trafilatura. Nothing is fetched."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import trafilatura
from lxml import etree  # type: ignore[import-untyped]
from trafilatura.settings import Document as TrafilaturaDocument

from pipelines.knowledge.documents.document import Builder, Document, LeftOut, one_line, words_of
from pipelines.knowledge.documents.errors import CORRUPT, UnreadableDocument
from pipelines.knowledge.documents.text import decode

MEDIA_TYPE = "text/html"

_HEADING_LEVELS = {f"h{level}": level for level in range(1, 7)}
_HIDDEN = frozenset({"script", "style", "template", "noscript", "head", "iframe", "svg", "form", "nav"})
# What no reader of the page sees.
_UNSHOWN = frozenset({"script", "style", "template", "noscript", "head", "svg"})
_CELLS = frozenset({"td", "th"})
_BREAKS = frozenset(
    {"p", "div", "br", "li", "tr", "section", "article", "blockquote", "pre", "table", "ul", "ol", "dl", "dt", "dd"}
    | {
        "header",
        "footer",
        "main",
        "nav",
        "aside",
        "figure",
        "figcaption",
        "caption",
        "form",
        "option",
        *_HEADING_LEVELS,
    }
)
# Trafilatura judges short pages unreliable and returns little of them; then everything that is visible is taken.
_MIN_SHARE = 0.25
_DEEPEST = 200
_CONTAINED = frozenset({"p", "list", "head", "table", "quote", "code", "div"})


def read_html(data: bytes, *, fallback_title: str) -> Document:
    """Read a page. Its title is that of its only top heading, else of its ``<title>``.

    Raises `UnreadableDocument` when the markup cannot be parsed.
    """
    tree = trafilatura.load_html(data if _names_its_encoding(data) else decode(data))
    if tree is None:
        raise UnreadableDocument("This HTML page cannot be parsed.", code=CORRUPT)
    named = one_line("".join(tree.xpath("string(//head/title)")))
    shown = [line for line in _lines(tree, _UNSHOWN) if line]
    visible = "\n".join(_lines(tree, _HIDDEN))
    pictures = [one_line(picture.get("alt", "")) for picture in tree.iter("img")]
    embedded = [one_line(frame.get("title", "")) for frame in tree.iter("iframe", "object", "embed", "video", "audio")]
    builder = Builder(MEDIA_TYPE)
    # The extraction changes the tree it is given, and is not needed again.
    extracted = trafilatura.bare_extraction(
        tree, include_tables=True, include_comments=False, favor_recall=True, with_metadata=False
    )
    if isinstance(extracted, TrafilaturaDocument) and extracted.body is not None:
        _walk(extracted.body, builder, 0)
    if builder.length < _MIN_SHARE * len(visible):
        builder = Builder(MEDIA_TYPE)
        for paragraph in visible.split("\n"):
            builder.paragraph(paragraph)
    for line in _missing(shown, builder.words()):
        builder.leave_out(LeftOut("navigation", line))
    for what, texts in (("picture", pictures), ("embedded", embedded)):
        for text in texts:
            builder.leave_out(LeftOut(what, text))
    return builder.build(fallback_title=named or fallback_title)


def _names_its_encoding(data: bytes) -> bool:
    return b"charset" in data[:2048].lower()


def _walk(element: Any, builder: Builder, depth: int) -> None:
    """Blocks of trafilatura's own vocabulary (after TEI): head, p, list, item, table, row, cell, quote, code."""
    for child in element:
        if depth > _DEEPEST or not isinstance(child.tag, str):
            continue
        _place(child, builder, depth)
        builder.paragraph(child.tail or "")


def _place(element: Any, builder: Builder, depth: int) -> None:
    match element.tag:
        case "head":
            builder.heading(_inline(element), _HEADING_LEVELS.get(element.get("rend", ""), 2))
        case "list":
            _list(element, builder, 0)
        case "table":
            builder.table([[_inline(cell) for cell in row.iter("cell")] for row in element.iter("row")])
        case "code":
            builder.code("".join(element.itertext()))
        case "graphic":
            pass
        case "quote" | "div" | "main" | "body" if any(child.tag in _CONTAINED for child in element):
            builder.paragraph(element.text or "")
            _walk(element, builder, depth + 1)
        case _:
            builder.paragraph(_inline(element))


def _list(element: Any, builder: Builder, depth: int) -> None:
    numbered = element.get("rend") == "ol"
    for number, item in enumerate((child for child in element if child.tag == "item"), start=1):
        nested = [child for child in item if child.tag == "list"]
        builder.item(_inline(item, skip=nested), marker=f"{number}." if numbered else "-", depth=depth)
        if depth < _DEEPEST:
            for child in nested:
                _list(child, builder, depth + 1)


def _inline(element: Any, skip: list[Any] | None = None) -> str:
    """The text below an element; a line break becomes a new line, a nested list in `skip` is left out."""
    left_out = {id(child) for child in skip or ()}

    def pieces(node: Any, depth: int) -> Iterator[str]:
        yield _unwrapped(node.text)
        for child in node:
            if isinstance(child.tag, str) and id(child) not in left_out and depth < _DEEPEST:
                if child.tag == "lb":
                    yield "\n"
                elif child.tag in {"p", "item"}:
                    yield " "
                yield from pieces(child, depth + 1)
                if child.tag in {"p", "item"}:
                    yield " "
            yield _unwrapped(child.tail)

    return "".join(pieces(element, 0)).strip()


def _unwrapped(text: str | None) -> str:
    return (text or "").replace("\n", " ").replace("\r", " ")


def _missing(lines: Iterable[str], words: Sequence[str]) -> Iterator[str]:
    """The lines of which some run of words is not among `words`; runs of three, or the whole of a shorter line."""
    runs = {tuple(words[at : at + size]) for size in (1, 2, 3) for at in range(len(words))}
    for line in lines:
        own = words_of(line)
        size = min(len(own), 3)
        if any(tuple(own[at : at + size]) not in runs for at in range(len(own) - size + 1 if own else 0)):
            yield line


def _lines(tree: Any, hidden_tags: frozenset[str]) -> Iterator[str]:
    """The text of the page outside `hidden_tags`, a line per block."""
    line: list[str] = []
    hidden = 0
    for event, element in etree.iterwalk(tree, events=("start", "end")):
        if element.tag in hidden_tags:
            hidden += 1 if event == "start" else -1
        if element.tag in _BREAKS:
            yield one_line("".join(line))
            line = []
        if element.tag in _CELLS:
            line.append(" ")
        if not hidden:
            line.append((element.text if event == "start" else element.tail) or "")
    yield one_line("".join(line))
