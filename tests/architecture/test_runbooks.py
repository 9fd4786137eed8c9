"""The runbooks can be followed: their commands, queries, log lines and links are the product's own."""

import re
import shlex
from functools import cache
from pathlib import Path

import psycopg
import pytest
from typer._click import exceptions as click

from core.kit.settings import Settings
from tests.factories.console import lines, mentions, parse
from tests.factories.processes import ROOT

FOLDER = ROOT / "docs" / "runbooks"
PAGES = sorted(FOLDER.glob("*.md"))
# These are followed on an appointed day, not when something pages.
_PROCEDURES = {"README", "rotate-secrets", "restore-a-dump", "disaster-recovery"}


def _named(page: Path) -> str:
    return page.stem


@cache
def _sources() -> str:
    folders = ("api", "core", "pipelines", "workers")
    return "".join(path.read_text(encoding="utf-8") for folder in folders for path in (ROOT / folder).rglob("*.py"))


@pytest.mark.parametrize("page", PAGES, ids=_named)
def test_every_waybill_command_parses(page: Path) -> None:
    for line in lines(page):
        if re.match(r"([A-Z_]+=\S* )*waybill ", line):
            parse(line)
    for line in mentions(page):
        try:
            parse(line)
        except click.MissingParameter:
            # A mention names a command; what it is given stands in the examples.
            continue


@pytest.mark.parametrize(
    "line",
    ["waybill keys revoked key_…", "waybill keys revoke --now key_…", "waybill keys revoke", "waybill limits set"],
)
def test_a_command_that_does_not_parse_is_found(line: str) -> None:
    with pytest.raises(click.UsageError):
        parse(line)


@pytest.mark.parametrize("page", PAGES, ids=_named)
def test_every_query_runs_on_the_present_schema(page: Path, settings: Settings) -> None:
    assert settings.database_url is not None
    statements = [shlex.split(line)[2] for line in lines(page) if line.startswith("psql -c ")]
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
