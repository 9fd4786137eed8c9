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
    assert "forever" in cli("retention", "set", "jobs", "forever").stdout
    assert cli("retention", "reset", "jobs").exit_code == 0
    assert cli("retention", "set", "payloads", "soon").exit_code == 2
    assert cli("retention", "reset", "payloads").exit_code != 0


def test_a_data_class_has_a_clock_of_its_own(cli: Cli) -> None:
    def classes(*arguments: str) -> list[tuple[str, int, str]]:
        result = cli("retention", *arguments, "--json")
        assert result.exit_code == 0, result.stderr
        clocks = json.loads(result.stdout)["data"]
        return [(each["data_class"], each["days"], each["source"]) for each in clocks if each["data_class"]]

    restricted = ("--data-class", "restricted")
    assert classes("set", "payloads", "7", *restricted) == [("restricted", 7, "project")]
    assert classes("set", "payloads", "30", "--organization", *restricted) == [("restricted", 7, "project")]
    assert "restricted and above" in cli("retention", "show").stdout
    assert classes("reset", "payloads", *restricted) == [("restricted", 30, "organization")]
    assert classes("reset", "payloads", "--organization", *restricted) == []
    assert cli("retention", "set", "payloads", "forever", *restricted).exit_code != 0
    assert cli("retention", "set", "events", "7", *restricted).exit_code != 0
