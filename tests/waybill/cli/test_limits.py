import json

from core.limits.records import LimitKind
from tests.waybill.cli.conftest import Cli
from waybill.cli.limits import Kind


def test_the_command_knows_every_kind() -> None:
    assert [kind.value for kind in Kind] == [kind.value for kind in LimitKind]


def test_limits_are_set_listed_and_removed(cli: Cli) -> None:
    made = cli("limits", "set", "jobs_per_day", "700")
    assert made.exit_code == 0, made.stderr
    assert "700" in made.stdout
    mine = json.loads(cli("limits", "list", "--json").stdout)["data"]
    assert [(each["kind"], each["value"]) for each in mine] == [("jobs_per_day", 700), ("requests_per_minute", 60000)]
    key = next(each["scope_id"] for each in mine if each["scope"] == "key")
    assert cli("limits", "set", "cost_per_month", "12.50", "--key", key).exit_code == 0
    assert "12.50" in cli("limits", "list", "--key", key).stdout
    assert "cost_per_month" in cli("limits", "list", "--all").stdout
    assert cli("limits", "set", "jobs_per_day", "many").exit_code == 2
    assert cli("limits", "set", "jobs_per_day", "5", "--key", key, "--project", "prj_x").exit_code == 2
    assert "12.50" in cli("limits", "remove", "cost_per_month", "--key", key).stdout
    assert cli("limits", "remove", "cost_per_month", "--key", key).exit_code != 0
    assert cli("limits", "remove", "jobs_per_day").exit_code == 0


def test_a_used_up_quota_says_which_and_until_when_and_does_not_blame_the_key(cli: Cli) -> None:
    assert cli("limits", "set", "jobs_per_day", "0").exit_code == 0
    try:
        refused = cli("jobs", "submit", "probe.act")
        assert refused.exit_code == 5
        assert "limit of 0 jobs per day is used up" in refused.stderr
        assert "00:00 UTC" in refused.stderr
        assert "waybill limits list" in refused.stderr
        assert "scopes" not in refused.stderr
    finally:
        cli("limits", "remove", "jobs_per_day")
