"""Where words go: results to stdout, messages to stderr, and with ``--json`` nothing but JSON on stdout."""

import io
import json
import sys
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

# Piped output is read by tools that search lines: wrap it only where a line would be absurd.
_PIPED_COLUMNS = 160


class Output:
    """One command's output. `as_json` turns results into JSON documents and silences everything for people."""

    def __init__(self, *, as_json: bool = False) -> None:
        self.as_json = as_json

    @cached_property
    def console(self) -> "Console":
        """Stdout, for results. Plain when it is not a terminal."""
        return _console(sys.stdout)

    @cached_property
    def messages(self) -> "Console":
        """Stderr, for everything that is not the result."""
        return _console(sys.stderr)

    @property
    def is_live(self) -> bool:
        """Whether drawing over earlier lines makes sense: a person is watching a terminal."""
        return not self.as_json and self.console.is_terminal and not self.console.is_dumb_terminal

    def document(self, value: Mapping[str, Any] | Sequence[Any]) -> None:
        """One JSON document: indented for a terminal, one line for a pipe."""
        indent = 2 if sys.stdout.isatty() else None
        sys.stdout.write(json.dumps(value, indent=indent, ensure_ascii=False, default=str) + "\n")
        sys.stdout.flush()

    def record(self, value: Mapping[str, Any]) -> None:
        """One line of a JSON stream."""
        sys.stdout.write(json.dumps(value, ensure_ascii=False, default=str) + "\n")
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
        self.write("".join(line.rstrip() + "\n" for line in captured.get().splitlines()))

    def _print(self, renderables: "Sequence[RenderableType]") -> None:
        for renderable in renderables:
            self.console.print(renderable, markup=False, highlight=False)

    def write(self, text: str) -> None:
        """Text as it comes, without a newline; silent under ``--json``."""
        if not self.as_json:
            sys.stdout.write(text)
            sys.stdout.flush()

    def note(self, text: str, style: str | None = None) -> None:
        """A message for people, on stderr; silent under ``--json``."""
        if not self.as_json:
            self.messages.print(text, style=style, markup=False, highlight=False)


def _console(stream: TextIO) -> "Console":
    from rich.console import Console

    if isinstance(stream, io.TextIOWrapper):
        # A terminal that cannot show a letter is no reason to fail.
        stream.reconfigure(errors="replace")
    return Console(file=stream, width=None if stream.isatty() else _PIPED_COLUMNS, soft_wrap=False)
