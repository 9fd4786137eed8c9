import json

from tests.waybill.cli.conftest import Cli


def test_budgets_are_created_shown_changed_and_archived(cli: Cli) -> None:
    made = cli("budgets", "create", "monthly", "--limit", "25.00", "--threshold", "90", "--on-exhaustion", "pause")
    assert made.exit_code == 0, made.stderr
    budget = made.stdout.strip()
    shown = json.loads(cli("budgets", "show", budget, "--json").stdout)
    assert (shown["limit_usd"], shown["thresholds"], shown["on_exhaustion"]) == ("25.00", [90], "pause")
    assert "40.00" in cli("budgets", "update", budget, "--limit", "40", "--soft").stdout
    assert "monthly" in cli("budgets", "list").stdout
    assert cli("budgets", "update", budget).exit_code == 2
    assert "archived" in cli("budgets", "archive", budget).stdout
    assert json.loads(cli("budgets", "list", "--json").stdout)["data"] == []
    assert cli("budgets", "show", "bud_nonsense").exit_code != 0
