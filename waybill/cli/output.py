"""Output: results go to stdout, messages to stderr, and with ``--json`` stdout holds nothing but JSON.

Everything that the command line prints passes through here. Names, labels and answers come from others and may hold
escape sequences that rewrite the screen, the title or the clipboard, or reverse the text direction.
"""

import codecs
import io
import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, BinaryIO, TextIO, TypeVar, cast

from core.kit.terminal import escape, neutralize

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

    from waybill.client.models.base import Page

_Item = TypeVar("_Item")
# Piped output is read by tools that search lines: wrap it only where a line would be absurd.
_PIPED_COLUMNS = 160


def to_json(value: Any, *, indent: int | None = None) -> str:
    """`value` as JSON with every such character escaped; parsing it gives the same value."""
    return escape(json.dumps(value, indent=indent, ensure_ascii=False, default=str))


def open_stdout() -> BinaryIO:
    """Stdout for a file's bytes: as they are into a pipe or a file, and as neutralized text on a terminal."""
    return cast("BinaryIO", _Shown(sys.stdout)) if sys.stdout.isatty() else sys.stdout.buffer


class Output:
    """One command's output. `as_json` turns results into JSON documents and silences everything for people."""

    def __init__(self, *, as_json: bool = False) -> None:
        self.as_json = as_json

    @cached_property
    def console(self) -> "Console":
        """Stdout, for results. Plain when it is not a terminal."""
        return open_console(sys.stdout)

    @cached_property
    def messages(self) -> "Console":
        """Stderr, for everything that is not the result."""
        return open_console(sys.stderr)

    @property
    def is_live(self) -> bool:
        """Whether drawing over earlier lines makes sense: a person is watching a terminal."""
        return not self.as_json and self.console.is_terminal and not self.console.is_dumb_terminal

    def document(self, value: Mapping[str, Any] | Sequence[Any]) -> None:
        """One JSON document: indented for a terminal, one line for a pipe."""
        indent = 2 if sys.stdout.isatty() else None
        sys.stdout.write(to_json(value, indent=indent) + "\n")
        sys.stdout.flush()

    def record(self, value: Mapping[str, Any]) -> None:
        """One line of a JSON stream."""
        sys.stdout.write(to_json(value) + "\n")
        sys.stdout.flush()

    def show(self, *renderables: "RenderableType") -> None:
        """Part of the result, for people; silent under ``--json``. Strings are printed as they are, without markup."""
        if self.as_json:
            return
        if self.console.is_terminal:
            self._print(renderables)
            return
        with self.console.capture() as captured:
            self._print(renderables)
        # Rich fills every line with blanks up to the width, which a file or a pipe has no use for.
        self._write("".join(line.rstrip() + "\n" for line in captured.get().splitlines()))

    def _print(self, renderables: "Sequence[RenderableType]") -> None:
        for renderable in renderables:
            self.console.print(renderable, markup=False, highlight=False)

    def answer(self, result: Mapping[str, Any], *shown: "RenderableType") -> None:
        """The result of a command: `result` as a document under ``--json``, otherwise what is `shown` of it."""
        if self.as_json:
            self.document(result)
        else:
            self.show(*shown)

    def page(self, page: "Page[_Item]", draw: Callable[[list[_Item]], "RenderableType"], empty: str = "") -> None:
        """One page of a list, drawn for people, or the note `empty` without items."""
        if self.as_json:
            self.document(page.as_json())
        elif empty and not page.data:
            self.note(empty)
        else:
            self.show(draw(page.data))
            self.more(page.next_cursor)

    def more(self, cursor: str | None) -> None:
        """How to read the page that follows, if one does."""
        if cursor:
            self.note(f"more: --cursor {cursor}", style="dim")

    def write(self, text: str) -> None:
        """Text as it comes, without a newline; silent under ``--json``."""
        if not self.as_json:
            self._write(neutralize(text))

    @staticmethod
    def _write(text: str) -> None:
        sys.stdout.write(text)
        sys.stdout.flush()

    def note(self, text: str, style: str | None = None) -> None:
        """A message for people, on stderr; silent under ``--json``."""
        if not self.as_json:
            self.messages.print(text, style=style, markup=False, highlight=False)


def open_console(stream: TextIO, **options: Any) -> "Console":
    """A console on `stream` that neutralizes whatever is drawn on it, in styles, tables, bars and live pictures."""
    from rich.console import Console
    from rich.segment import Segment

    class Neutral(Console):
        def render(self, *arguments: Any, **named: Any) -> "Iterator[Segment]":
            for segment in super().render(*arguments, **named):
                # A control segment is Rich's own: where it moves the cursor, what it clears.
                text = segment.text if segment.control else neutralize(segment.text)
                yield segment if text is segment.text else Segment(text, segment.style)

    if isinstance(stream, io.TextIOWrapper):
        # A terminal that cannot show a letter is no reason to fail.
        stream.reconfigure(errors="replace")
    # An audit action such as `api:key:create` holds the name of an emoji, which is not to be drawn.
    return Neutral(file=stream, width=None if stream.isatty() else _PIPED_COLUMNS, emoji=False, **options)


class _Shown:
    """A terminal that accepts bytes."""

    def __init__(self, terminal: TextIO) -> None:
        self._terminal = terminal
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def write(self, piece: bytes) -> int:
        self._terminal.write(neutralize(self._decoder.decode(piece)))
        return len(piece)

    def flush(self) -> None:
        self._terminal.flush()
