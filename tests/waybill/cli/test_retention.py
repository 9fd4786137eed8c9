import json

from core.jobs.retention.records import Kind as WireKind
from tests.waybill.cli.conftest import Cli
from waybill.cli.retention import Kind


def test_the_command_knows_every_kind() -> None:
    assert [kind.value for kind in Kind] == [kind.value for kind in WireKind]


def test_clocks_are_set_shown_and_reset(cli: Cli) -> None:
    def clocks(*arguments: str) -> dict[str, tuple[int | None, str]]:
        result = cli("retention", *arguments, "--json")
        assert result.exit_code == 0, result.stderr
        return {clock["kind"]: (clock["days"], clock["source"]) for clock in json.loads(result.stdout)["data"]}

    assert clocks("set", "payloads", "30")["payloads"] == (30, "project")
    assert clocks("set", "audit", "forever", "--organization")["audit"] == (None, "organization")
    assert clocks("show")["payloads"] == (30, "project")
    assert clocks("reset", "payloads")["payloads"] == (90, "installation")
    assert clocks("reset", "audit", "--organization")["audit"] == (2555, "installation")
    assert "for ever" in cli("retention", "set", "jobs", "forever").stdout
    assert cli("retention", "reset", "jobs").exit_code == 0
    assert cli("retention", "set", "payloads", "soon").exit_code == 2
    assert cli("retention", "reset", "payloads").exit_code != 0
