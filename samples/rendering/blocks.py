"""The sources of the rendered documents: a front matter and a small Markdown, read into typed blocks."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.tree import SyntaxTreeNode


@dataclass(frozen=True)
class Run:
    """Text in one style."""

    text: str
    bold: bool = False
    italic: bool = False


@dataclass(frozen=True)
class Heading:
    """A heading; level 1 is a chapter, the document's title is in the front matter."""

    level: int
    text: str


@dataclass(frozen=True)
class Paragraph:
    """Running text."""

    runs: tuple[Run, ...]


@dataclass(frozen=True)
class Item:
    """One entry of a list; `number` is None for a bullet, depth 0 is the outermost list."""

    runs: tuple[Run, ...]
    depth: int
    number: int | None


@dataclass(frozen=True)
class Callout:
    """A paragraph set apart (a block quote in the source)."""

    runs: tuple[Run, ...]


@dataclass(frozen=True)
class Table:
    """Plain-text cells; the first row is the header."""

    rows: tuple[tuple[str, ...], ...]


Block = Heading | Paragraph | Item | Callout | Table


@dataclass(frozen=True)
class Source:
    """One document to render. `columns` (1 or 2) concerns running text in PDFs only."""

    name: str
    title: str
    reference: str
    version: str
    date: datetime
    owner: str
    classification: str
    columns: int
    blocks: tuple[Block, ...] = field(repr=False)


def read_source(path: Path) -> Source:
    """Read one source file; KeyError names a front matter field that is missing, ValueError unsupported Markdown."""
    _, front, body = path.read_text(encoding="utf-8").split("---\n", 2)
    fields = dict(line.split(": ", 1) for line in front.strip().splitlines())
    return Source(
        name=path.stem,
        title=fields["title"],
        reference=fields["reference"],
        version=fields["version"],
        date=datetime.strptime(fields["date"], "%Y-%m-%d").replace(hour=9, tzinfo=UTC),
        owner=fields["owner"],
        classification=fields["classification"],
        columns=int(fields.get("columns", "1")),
        blocks=tuple(_blocks(SyntaxTreeNode(MarkdownIt("commonmark").enable("table").parse(body)))),
    )


def _blocks(root: SyntaxTreeNode) -> Iterator[Block]:
    for node in root.children:
        match node.type:
            case "heading":
                yield Heading(int(node.tag[1]), _plain(node))
            case "paragraph":
                yield Paragraph(_runs(node))
            case "blockquote":
                yield Callout(_runs(node.children[0]))
            case "bullet_list" | "ordered_list":
                yield from _items(node, depth=0)
            case "table":
                yield Table(tuple(tuple(_plain(cell) for cell in row.children) for row in _table_rows(node)))
            case unsupported:
                raise ValueError(f"{unsupported} is not part of the small Markdown the renderers know")


def _items(list_node: SyntaxTreeNode, depth: int) -> Iterator[Item]:
    for number, item in enumerate(list_node.children, start=1):
        text, *nested = item.children
        yield Item(_runs(text), depth, number if list_node.type == "ordered_list" else None)
        for inner in nested:
            yield from _items(inner, depth + 1)


def _table_rows(table: SyntaxTreeNode) -> Iterator[SyntaxTreeNode]:
    for section in table.children:
        yield from section.children


def _runs(block: SyntaxTreeNode) -> tuple[Run, ...]:
    return tuple(run for inline in block.children for run in _inline(inline, bold=False, italic=False))


def _inline(parent: SyntaxTreeNode, *, bold: bool, italic: bool) -> Iterator[Run]:
    for node in parent.children:
        match node.type:
            case "strong":
                yield from _inline(node, bold=True, italic=italic)
            case "em":
                yield from _inline(node, bold=bold, italic=True)
            case "text" | "code_inline":
                yield Run(node.content, bold, italic)
            case "softbreak":
                yield Run(" ", bold, italic)
            case unsupported:
                raise ValueError(f"{unsupported} is not part of the small Markdown the renderers know")


def _plain(block: SyntaxTreeNode) -> str:
    return "".join(run.text for run in _runs(block))
