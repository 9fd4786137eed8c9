"""The ``waybill`` commands that a page of the documentation shows, and the command line's own reading of them."""

import re
import shlex
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import typer
from typer._click import exceptions as click

from waybill.cli.main import app

_BLOCK = re.compile(r"^ *```(\w*)\n(.*?)^ *```", flags=re.MULTILINE | re.DOTALL)
_COMMAND = re.compile(r"([A-Z_]+=\S* +)*waybill ")
_SHELL = {"|", ">", "<", "&&", ";"}


def lines(page: Path) -> Iterator[str]:
    """The lines after a prompt in a page's console blocks, continued ones joined."""
    for language, block in _BLOCK.findall(page.read_text(encoding="utf-8")):
        if language == "console":
            yield from re.findall(r"^\s*\$ (.+)$", re.sub(r"\\\n\s*", "", block), flags=re.MULTILINE)


def commands(page: Path) -> list[str]:
    """The ``waybill`` commands in a page's blocks of shell commands, without what follows a ``#``."""
    found: list[str] = []
    for language, block in _BLOCK.findall(page.read_text(encoding="utf-8")):
        if language not in {"console", "sh"}:
            continue
        prompt = r"\$ " if language == "console" else ""
        shown = re.findall(rf"^ *{prompt}(.+)$", re.sub(r"\\\n\s*", "", block), flags=re.MULTILINE)
        found.extend(re.sub(r"\s+#.*$", "", line) for line in shown if _COMMAND.match(line))
    return found


def mentions(page: Path) -> list[str]:
    """The commands that a page's text names."""
    return re.findall(r"`(waybill [^`]+)`", _BLOCK.sub("", page.read_text(encoding="utf-8")))


@cache
def _top() -> Any:
    return typer.main.get_command(app)


def parse(line: str) -> None:
    """Parse a ``waybill`` line as the command line would, but for what the shell takes. Raises UsageError."""
    words = shlex.split(line)
    words = words[words.index("waybill") + 1 :]
    words = words[: next((place for place, word in enumerate(words) if word in _SHELL), len(words))]
    command = _top()
    context = command.context_class(command, info_name="waybill")
    while hasattr(command, "commands") and words and not words[0].startswith("-"):
        name = words.pop(0)
        command = command.commands.get(name)
        if command is None:
            raise click.UsageError(f"there is no command {name!r}", context)
        context = command.context_class(command, info_name=name, parent=context)
    if hasattr(command, "commands"):
        options = {option for each in command.params for option in each.opts}
        if not set(words) <= options | {"--help"}:
            raise click.UsageError(f"{' '.join(words)!r} is no command", context)
        return
    try:
        command.make_context(context.info_name, words, parent=context.parent)
    except click.BadParameter as error:
        # The examples' files are the reader's.
        if "does not exist" not in error.message:
            raise
