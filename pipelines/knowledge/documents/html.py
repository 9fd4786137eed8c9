"""HTML: everything that a reader of the page sees except its navigation, which is named. Nothing is fetched."""

import re
from collections.abc import Iterator
from typing import Any

from lxml import etree  # type: ignore[import-untyped]

from pipelines.knowledge.documents.document import Builder, Document, LeftOut, one_line
from pipelines.knowledge.documents.encodings import decode_bytes
from pipelines.knowledge.documents.errors import CORRUPT, UnreadableDocument
from pipelines.knowledge.documents.html_tables import is_inline, is_layout, read_grid
from pipelines.knowledge.documents.tables import add_table, looks_like_header

MEDIA_TYPE = "text/html"

_HEADING_LEVELS = {f"h{level}": level for level in range(1, 7)}
# Elements that no reader of the page sees.
_UNSHOWN = frozenset(
    {"script", "style", "template", "noscript", "head", "svg", "iframe", "object", "embed", "video", "audio", "option",
     "datalist"}
)  # fmt: skip
_EMBEDDED = ("iframe", "object", "embed", "video", "audio")
_MAIN = frozenset({"main", "article"})
_MARGINS = frozenset({"header", "footer", "aside"})
_MENU_NAME = re.compile(
    r"(?:^|[\s_-])(?:nav|navbar|navigation|menu|breadcrumbs?|sitemap|cookie|cookies)(?:$|[\s_-])", re.IGNORECASE
)
_MENU_LINKS = 0.6
_INVISIBLE = re.compile(r"display\s{0,5}:\s{0,5}none|visibility\s{0,5}:\s{0,5}hidden", re.IGNORECASE)
# Main content with less than this share of the visible text is wrong markup, and the page is read whole.
_MIN_SHARE = 0.25
_DEPTH_SHOWN = 20
# libxml2 drops elements nested more than 2,048 deep. Beyond this depth, containers are merged into their parent.
_DEEPEST = 400
_CONTAINER = re.compile(
    r"<(/?)(?:div|span|section|article|main|font|b|i|u|em|strong|small|big|center|blockquote|table|tbody|ul|ol|dl|a|"
    r"details|figure|fieldset|form|header|footer|aside|nav|label|code|sub|sup|ins|del|s|q|cite)\b[^<>]*>",
    re.IGNORECASE,
)


def read_html(data: bytes, *, fallback_title: str, declared: str | None = None, whole: bool = False) -> Document:
    """Read a page. Its title is that of its only top heading, else of its ``<title>``.

    `declared` is the encoding that was sent along, and `whole` treats navigation as content, as in a mail. Raises
    `UnreadableDocument` when the markup cannot be parsed.
    """
    decoded = decode_bytes(data, declared=declared)
    tree = _parsed(decoded.text)
    named = one_line("".join(tree.xpath("string(//head/title)")))
    builder = _laid_out(tree, whole=whole)
    if not whole and builder.length < _MIN_SHARE * len(one_line(" ".join(_lines(tree)))):
        builder = _laid_out(tree, whole=True)
    for picture in tree.iter("img"):
        builder.leave_out(LeftOut("picture", picture.get("alt", "")))
    for frame in tree.iter(*_EMBEDDED):
        builder.leave_out(LeftOut("embedded", frame.get("title", "")))
    if decoded.damaged:
        builder.leave_out(LeftOut("illegible", count=decoded.damaged))
    return builder.build(fallback_title=named or fallback_title)


def _parsed(text: str) -> Any:
    parser = etree.HTMLParser(encoding="utf-8", huge_tree=True, remove_comments=True, remove_pis=True, no_network=True)
    try:
        tree = etree.fromstring(_flattened(text).encode("utf-8", "replace"), parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        raise UnreadableDocument("This HTML page cannot be parsed.", code=CORRUPT) from error
    if tree is None:
        raise UnreadableDocument("This HTML page cannot be parsed.", code=CORRUPT)
    return tree


def _flattened(text: str) -> str:
    depth = deepest = 0

    def kept(tag: re.Match[str]) -> str:
        nonlocal depth, deepest
        if tag[1]:
            depth -= depth > 0
            return "" if depth >= _DEEPEST else tag[0]
        if tag[0].endswith("/>"):
            return tag[0]
        depth += 1
        deepest = max(deepest, depth)
        return "" if depth > _DEEPEST else tag[0]

    flat = _CONTAINER.sub(kept, text)
    return flat if deepest > _DEEPEST else text


def _laid_out(tree: Any, *, whole: bool) -> Builder:
    builder = Builder(MEDIA_TYPE)
    is_site = any(next(tree.iter(tag), None) is not None for tag in (*_MAIN, "nav"))
    walk = etree.iterwalk(tree, events=("start", "end"))
    layout = _Layout(builder)
    skipped: Any = None
    for event, element in walk:
        if event == "end":
            if element is not skipped:
                layout.close(element)
            skipped = None
            layout.text(element.tail if element is not tree else None)
        elif element.tag in _UNSHOWN or _is_invisible(element):
            skipped = _skip(walk, element)
        elif not whole and _is_navigation(element, is_site=is_site):
            layout.flush()
            for line in _lines(element):
                builder.leave_out(LeftOut("navigation", line))
            skipped = _skip(walk, element)
        elif element.tag == "table" and not is_layout(element):
            layout.table(element)
            skipped = _skip(walk, element)
        else:
            layout.open(element)
            layout.text(element.text)
    layout.flush()
    return builder


def _skip(walk: Any, element: Any) -> Any:
    walk.skip_subtree()
    return element


class _Layout:
    """Collects inline text, and adds it as a block when one starts or ends."""

    def __init__(self, builder: Builder) -> None:
        self._builder = builder
        self._pieces: list[str] = []
        # One entry per open list: the number of its next item, or None for bullets.
        self._lists: list[int | None] = []
        self._marker: str | None = None
        self._heading = 0
        self._preformatted = 0

    def open(self, element: Any) -> None:
        tag = element.tag
        if tag == "br":
            self._pieces.append("\n")
        elif tag == "input" and element.get("type", "text") in {"text", "number", "date", "email", "tel"}:
            self._pieces.append(f" {element.get('value', '')} ")
        elif not is_inline(tag):
            self.flush()
        if tag == "pre":
            self._preformatted += 1
        elif tag in _HEADING_LEVELS:
            self._heading = _HEADING_LEVELS[tag]
        elif tag in {"ul", "ol"}:
            start = element.get("start", "1")
            self._lists.append(None if tag == "ul" else int(start[:9]) if start.isascii() and start.isdecimal() else 1)
        elif tag == "li":
            self._marker = self._next_marker()

    def close(self, element: Any) -> None:
        tag = element.tag
        if not is_inline(tag) and tag not in {"br", "input", "img"}:
            self.flush()
        if tag == "pre":
            self._preformatted -= 1
        elif tag in _HEADING_LEVELS:
            self._heading = 0
        elif tag in {"ul", "ol"} and self._lists:
            self._lists.pop()
        elif tag == "li":
            self._marker = None

    def text(self, text: str | None) -> None:
        if text:
            self._pieces.append(text if self._preformatted else text.replace("\n", " ").replace("\r", " "))

    def table(self, table: Any) -> None:
        self.flush()
        for caption in table.iterchildren("caption"):
            self._builder.paragraph(one_line("".join(caption.itertext())))
        header, rows = read_grid(table, _UNSHOWN)
        if not header and rows and looks_like_header(rows[0], rows[1:]):
            header, rows = rows[:1], rows[1:]
        add_table(self._builder, header, rows)

    def flush(self) -> None:
        text = "".join(self._pieces)
        self._pieces.clear()
        if not text.strip():
            return
        if self._preformatted:
            self._builder.code(text)
        elif self._heading:
            self._builder.heading(text, self._heading)
        elif self._marker is not None:
            self._builder.item(text, marker=self._marker, depth=min(max(len(self._lists) - 1, 0), _DEPTH_SHOWN))
            self._marker = None
        else:
            self._builder.paragraph(text)

    def _next_marker(self) -> str:
        number = self._lists[-1] if self._lists else None
        if number is None:
            return "-"
        self._lists[-1] = number + 1
        return f"{number}."


def _is_invisible(element: Any) -> bool:
    # `aria-hidden` hides from screen readers only, and does not affect what is visible.
    return element.get("hidden") is not None or _INVISIBLE.search(element.get("style", "")) is not None


def _is_navigation(element: Any, *, is_site: bool) -> bool:
    tag = element.tag
    if tag == "nav" or element.get("role") in {"navigation", "menu", "menubar", "contentinfo", "banner"}:
        return not _has_title(element)
    if tag in _MARGINS:
        return is_site and not _is_in_main(element) and not _has_title(element)
    if tag not in {"div", "ul", "ol", "table", "section"}:
        return False
    named = f"{element.get('class', '')} {element.get('id', '')}"
    return len(named) > 1 and _MENU_NAME.search(named[:200]) is not None and _links_share(element) >= _MENU_LINKS


def _has_title(element: Any) -> bool:
    return next(element.iter("h1", *_MAIN), None) is not None


def _is_in_main(element: Any) -> bool:
    return next(element.iterancestors(*_MAIN), None) is not None


def _links_share(element: Any) -> float:
    everything = sum(len(piece.strip()) for piece in element.itertext())
    linked = sum(len(piece.strip()) for link in element.iter("a") for piece in link.itertext())
    return linked / everything if everything else 0.0


def _lines(tree: Any) -> Iterator[str]:
    """The visible text of the page below `tree`, a line per block."""
    line: list[str] = []
    walk = etree.iterwalk(tree, events=("start", "end"))
    for event, element in walk:
        if not is_inline(element.tag):
            if text := one_line("".join(line)):
                yield text
            line = []
        if event == "start" and element.tag in _UNSHOWN:
            walk.skip_subtree()
        elif event == "start":
            line.append(element.text or "")
        if event == "end" and element is not tree:
            line.append(element.tail or "")
    if text := one_line("".join(line)):
        yield text
