"""The runbooks can be followed: their commands, queries, log lines and links are the product's own."""

import re
import shlex
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import psycopg
import pytest
import typer
from typer._click import exceptions as click

from core.kit.settings import Settings
from tests.factories.processes import ROOT
from waybill.cli.main import app

FOLDER = ROOT / "docs" / "runbooks"
PAGES = sorted(FOLDER.glob("*.md"))
# These are followed on an appointed day, not when something pages.
_PROCEDURES = {"README", "rotate-secrets", "restore-a-dump", "disaster-recovery"}
_SHELL = {"|", ">", "<", "&&", ";"}


def _named(page: Path) -> str:
    return page.stem


def _lines(page: Path) -> Iterator[str]:
    """The commands of a page's console blocks, continued lines joined."""
    for block in re.findall(r"```console\n(.*?)```", page.read_text(encoding="utf-8"), flags=re.DOTALL):
        yield from re.findall(r"^\s*\$ (.+)$", re.sub(r"\\\n\s*", "", block), flags=re.MULTILINE)


def _mentions(page: Path) -> list[str]:
    """The commands that a page's text names."""
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    return re.findall(r"`(waybill [^`]+)`", text)


@cache
def _top() -> Any:
    return typer.main.get_command(app)


@cache
def _sources() -> str:
    folders = ("api", "core", "pipelines", "workers")
    return "".join(path.read_text(encoding="utf-8") for folder in folders for path in (ROOT / folder).rglob("*.py"))


def _parse(line: str) -> None:
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


@pytest.mark.parametrize("page", PAGES, ids=_named)
def test_every_waybill_command_parses(page: Path) -> None:
    for line in _lines(page):
        if re.match(r"([A-Z_]+=\S* )*waybill ", line):
            _parse(line)
    for line in _mentions(page):
        try:
            _parse(line)
        except click.MissingParameter:
            # A mention names a command; what it is given stands in the examples.
            continue


@pytest.mark.parametrize(
    "line",
    ["waybill keys revoked key_…", "waybill keys revoke --now key_…", "waybill keys revoke", "waybill limits set"],
)
def test_a_command_that_does_not_parse_is_found(line: str) -> None:
    with pytest.raises(click.UsageError):
        _parse(line)


@pytest.mark.parametrize("page", PAGES, ids=_named)
def test_every_query_runs_on_the_present_schema(page: Path, settings: Settings) -> None:
    assert settings.database_url is not None
    statements = [shlex.split(line)[2] for line in _lines(page) if line.startswith("psql -c ")]
    queries = [statement for statement in statements if statement.startswith("SELECT ")]
    with psycopg.connect(settings.database_url.get_secret_value()) as connection:
        for query in queries:
            connection.execute(f"PREPARE looked_at AS {query}")
            connection.execute("DEALLOCATE looked_at")


@pytest.mark.parametrize("page", PAGES, ids=_named)
def test_every_log_line_is_one_that_the_product_writes(page: Path) -> None:
    for event in set(re.findall(r'"event":"(\w+)"', page.read_text(encoding="utf-8"))):
        assert f'"{event}"' in _sources(), event


@pytest.mark.parametrize("page", [page for page in PAGES if page.stem not in _PROCEDURES], ids=_named)
def test_a_page_has_the_same_four_parts_and_stands_in_the_index(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert re.findall(r"^## (.+)$", text, flags=re.MULTILINE) == ["Notice", "Look", "Act", "Verify"]
    [title] = re.findall(r"^# (.+)$", text, flags=re.MULTILINE)
    assert f"[{title}]({page.name})" in (FOLDER / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("page", PAGES, ids=_named)
def test_every_link_leads_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8"))
    assert not [target for target in targets if not (FOLDER / target).exists()]
