import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.guard import records
from core.guard.policy import TEMPLATES
from tests.factories.api import RunningApi
from tests.factories.plain_analyzer import PlainAnalyzer
from tests.waybill.cli.conftest import Cli
from waybill.cli.guard_policies import Direction, Source, Template


@pytest.fixture(autouse=True)
def analyzer(api: RunningApi) -> Iterator[None]:
    before, api.runtime.analyzer = api.runtime.analyzer, PlainAnalyzer()  # type: ignore[assignment]
    yield
    api.runtime.analyzer = before


def test_the_command_knows_every_template_border_and_source() -> None:
    assert [each.value for each in Template] == list(TEMPLATES)
    assert [each.value for each in Direction] == [each.value for each in records.Direction]
    assert [each.value for each in Source] == [each.value for each in records.Source]


def test_what_is_shown_can_be_changed_and_set_again(cli: Cli, tmp_path: Path) -> None:
    made = cli("guard", "policy", "set", "balanced")
    assert (made.exit_code, made.stdout) == (0, "organization: version 1, template balanced\n"), made.stderr
    shown = json.loads(cli("guard", "policy", "show").stdout)
    assert shown["rules"][0]["kinds"] == ["secret"]
    file = tmp_path / "policy.json"
    file.write_text(json.dumps({**shown, "allow": ["ada@example.org"]}), encoding="utf-8")
    stale = cli("guard", "policy", "set", str(file), "--version", "0")
    assert stale.exit_code not in {0, 2}
    assert "version 1" in stale.stderr
    changed = json.loads(cli("guard", "policy", "set", str(file), "--version", "1", "--json").stdout)
    assert (changed["version"], changed["policy"]["allow"]) == (2, ["ada@example.org"])
    assert json.loads(cli("guard", "policy", "show", "--version", "1").stdout)["allow"] == []
    assert cli("guard", "policy", "set", "-", stdin='{"rules": []}').exit_code == 0
    assert cli("guard", "policy", "set", "lenient").exit_code == 2
    assert "balanced" in cli("guard", "policy", "templates").stdout
    assert cli("guard", "policy", "set", "off").exit_code == 0


def test_a_text_or_a_file_is_tried_and_shown_with_its_findings(cli: Cli, tmp_path: Path) -> None:
    tried = cli("guard", "test", "Mail ada@example.org", "--template", "balanced")
    assert tried.exit_code == 0, tried.stderr
    lines = tried.stdout.splitlines()
    assert (lines[0], lines[-1]) == ("Mail ada@example.org", "Mail <EMAIL_1>")
    assert any(line.split()[:3] == ["email", "redact", "5-20"] for line in lines)
    file = tmp_path / "mail.txt"
    file.write_text("Falcon lands", encoding="utf-8")
    own = tmp_path / "policy.json"
    own.write_text(
        json.dumps(
            {
                "rules": [{"action": "block"}],
                "dictionaries": [{"kind": "code_word", "terms": ["falcon"], "data_class": "restricted"}],
            }
        ),
        encoding="utf-8",
    )
    found = json.loads(cli("guard", "test", str(file), "--policy", str(own), "--json").stdout)
    assert (found["action"], found["data_class"]) == ("block", "restricted")
    assert "restricted" in cli("guard", "test", str(file), "--policy", str(own)).stderr
    assert "nothing found" in cli("guard", "test", "Mail ada@example.org", "--direction", "to_tool").stdout
    assert cli("guard", "test", "x", "--policy", str(own), "--template", "off").exit_code == 2


def test_a_value_is_erased_by_argument_or_from_stdin(cli: Cli) -> None:
    assert cli("guard", "erase", "Anna Schmidt").stdout == "erased 0 pseudonyms\n"
    assert json.loads(cli("guard", "erase", "-", "--json", stdin="Anna Schmidt\n").stdout) == {"erased_pseudonyms": 0}
