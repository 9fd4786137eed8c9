"""Markdown by CommonMark's rules and GitHub's tables, as plain text: what a reader of the rendered page sees."""

import re
from collections.abc import Iterator, Sequence

from markdown_it import MarkdownIt
from markdown_it.token import Token

from pipelines.knowledge.documents.document import Builder, Document, LeftOut
from pipelines.knowledge.documents.encodings import decode

MEDIA_TYPE = "text/markdown"

_FRONT_MATTER = re.compile(r"---[^\S\n]*\n(.*?)\n(?:---|\.\.\.)[^\S\n]*(?:\n|$)", re.DOTALL)
_TITLE = re.compile(r"^title:(.*)$", re.MULTILINE)
# An element that is never closed ends with the text, as in a browser.
_TAG = re.compile(
    r"<!--(?P<comment>.*?)(?:-->|\Z)|<(?:script|style)\b.*?(?:</(?:script|style)>|\Z)|<[^<>]*>",
    re.DOTALL | re.IGNORECASE,
)
# Deeper nesting than this is an attack or an accident, and costs the parser quadratic time.
_MAX_NESTING = 40


def read_markdown(data: bytes, *, fallback_title: str) -> Document:
    """Read Markdown. A title in the front matter wins over the first heading; the rest of it is left out."""
    builder = Builder(MEDIA_TYPE)
    text = decode(data)
    front = _FRONT_MATTER.match(text)
    if front:
        named = _TITLE.search(front.group(1))
        builder.title = named.group(1).strip().strip("\"'") if named else ""
        text = text[front.end() :]
        if rest := _TITLE.sub("", front.group(1)).strip():
            builder.leave_out(LeftOut("front_matter", rest))
    parser = MarkdownIt("commonmark", {"maxNesting": _MAX_NESTING}).enable(["table", "strikethrough"])
    _Walk(builder).blocks(parser.parse(text))
    return builder.build(fallback_title=fallback_title)


class _Walk:
    """Walks through the tokens once, keeping the open lists."""

    def __init__(self, builder: Builder) -> None:
        self._builder = builder
        # One entry per open list: the number of its next item, or None for bullets.
        self._lists: list[int | None] = []
        self._marker: str | None = None
        self._rows: list[list[str]] = []
        self._level = 0

    def blocks(self, tokens: Sequence[Token]) -> None:
        for token in tokens:
            if token.type == "inline":
                self._place("".join(_plain(token.children or ())))
            elif token.type in {"fence", "code_block"}:
                self._builder.code(token.content)
            elif token.type == "html_block":
                for tag in _TAG.finditer(token.content):
                    if (tag["comment"] or "").strip():
                        self._builder.leave_out(LeftOut("comment", tag["comment"]))
                self._builder.paragraph(_TAG.sub(" ", token.content))
            else:
                self._open_or_close(token)

    def _open_or_close(self, token: Token) -> None:
        match token.type:
            case "heading_open":
                self._level = int(token.tag[1])
            case "heading_close":
                self._level = 0
            case "bullet_list_open":
                self._lists.append(None)
            case "ordered_list_open":
                self._lists.append(int(token.attrGet("start") or 1))
            case "bullet_list_close" | "ordered_list_close":
                self._lists.pop()
            case "list_item_open":
                self._marker = self._next_marker()
            case "tr_open":
                self._rows.append([])
            case "table_close":
                self._builder.table(self._rows)
                self._rows = []

    def _next_marker(self) -> str:
        number = self._lists[-1]
        if number is None:
            return "-"
        self._lists[-1] = number + 1
        return f"{number}."

    def _place(self, text: str) -> None:
        if self._rows:
            self._rows[-1].append(text)
        elif self._level:
            self._builder.heading(text, self._level)
        elif self._marker is not None:
            self._builder.item(text, marker=self._marker, depth=len(self._lists) - 1)
            self._marker = None
        else:
            self._builder.paragraph(text)


def _plain(tokens: Sequence[Token]) -> Iterator[str]:
    for token in tokens:
        match token.type:
            case "text" | "code_inline":
                yield token.content
            case "softbreak":
                yield " "
            case "hardbreak":
                yield "\n"
            case "image":
                yield from _plain(token.children or ())
