"""The documentation leads somewhere: its links, the headings they name, and the commands it shows."""

import re
from functools import cache
from pathlib import Path

import pytest
from typer._click import exceptions as click

from tests.factories.console import commands, mentions, parse
from tests.factories.processes import ROOT

_PRODUCT = ("api", "core", "pipelines", "waybill", "workers")
_FOLDERS = (*_PRODUCT, "infra", "samples", "tests")
PAGES = sorted(
    [
        *ROOT.glob("*.md"),
        *(ROOT / "docs").rglob("*.md"),
        *(page for folder in _FOLDERS for page in (ROOT / folder).rglob("README.md")),
    ]
)
# What was once decided or changed keeps its words.
_HISTORY = {"CHANGELOG.md", "adr"}
PRESENT = [page for page in PAGES if not _HISTORY & set(page.parts)]
_FENCED = re.compile(r"^( *)```.*?^\1```", flags=re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\(([^)\s]+)\)")


def _named(page: Path) -> str:
    return str(page.relative_to(ROOT))


@cache
def _text(page: Path) -> str:
    return _FENCED.sub("", page.read_text(encoding="utf-8"))


@cache
def _anchors(page: Path) -> set[str]:
    """The anchors that GitHub gives the headings of a page."""
    headings = re.findall(r"^#+ (.+)$", _text(page), flags=re.MULTILINE)
    plain = (re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading) for heading in headings)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in plain}


@pytest.mark.parametrize("page", PAGES, ids=_named)
def test_every_link_leads_to_a_file_and_a_heading(page: Path) -> None:
    for target in _LINK.findall(_text(page)):
        path, _, anchor = target.partition("#")
        if ":" in path:
            continue
        file = page.parent / path if path else page
        assert file.exists(), target
        if anchor and file.suffix == ".md":
            assert anchor in _anchors(file.resolve()), target


@pytest.mark.parametrize("page", PRESENT, ids=_named)
def test_every_waybill_command_exists(page: Path) -> None:
    """A placeholder may stand for a value, but for no command and no option."""
    for line in [*commands(page), *mentions(page)]:
        if "…" in line.split()[1:3] or "COMMAND" in line:
            continue
        try:
            parse(line)
        except (click.MissingParameter, click.BadParameter, click.BadOptionUsage):
            continue
        except click.UsageError as error:
            if "extra argument" not in error.message or "…" not in line:
                raise AssertionError(f"{line}: {error.message}") from error


def test_every_code_that_troubleshooting_explains_exists() -> None:
    page = (ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
    symptoms = re.findall(r"^\| ([^|]+) \|", page, flags=re.MULTILINE)
    codes = set(re.findall(r"`([a-z]+(?:_[a-z]+)+)`", "".join(symptoms)))
    assert len(codes) > 40
    errors = (ROOT / "docs" / "reference" / "errors.md").read_text(encoding="utf-8")
    sources = "".join(path.read_text(encoding="utf-8") for folder in _PRODUCT for path in (ROOT / folder).rglob("*.py"))
    assert [code for code in sorted(codes) if f"`{code}`" not in errors and f'"{code}"' not in sources] == []
