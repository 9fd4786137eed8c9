"""``waybill prices`` and ``waybill costs`` against a running API."""

import csv
import io
import json
from decimal import Decimal
from pathlib import Path

import pytest

from tests.factories.api import RunningApi
from tests.factories.charges import Line, id_at, month_start, write_lines
from tests.waybill.cli.conftest import Cli

pytestmark = pytest.mark.own_database

MONTH = f"{month_start():%Y-%m}"


@pytest.fixture(scope="module")
def spent(api: RunningApi) -> Decimal:
    """What the API's first key has spent this month."""
    key = api.key
    assert api.settings.database_url is not None
    lines = [
        Line(key.organization_id, key.project_id, key.id, id_at(month_start()), Decimal(usd), model=model)
        for usd, model in (("0.1", "gpt-4o"), ("0.000000007", "gpt-4o-mini"))
    ]
    write_lines(api.settings.database_url.get_secret_value(), lines)
    return Decimal("0.100000007")


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text, newline="")))


def test_prices_are_seeded_listed_and_set(cli: Cli) -> None:
    seeded = json.loads(cli("prices", "seed", "--json").stdout)
    assert seeded["added"] > 5_000
    assert cli("prices", "seed").stdout.startswith("0 prices added")

    listed = cli("prices", "list", "--provider", "openai", "--model", "gpt-4o")
    assert "0.0000025" in listed.stdout

    made = cli("prices", "set", "openai", "gpt-4o", "input_tokens", "0.000001", "--json")
    assert made.exit_code == 0, made.stderr
    found = json.loads(cli("prices", "list", "--provider", "openai", "--model", "gpt-4o", "--json").stdout)
    (price,) = [price for price in found["data"] if price["unit"] == "input_tokens"]
    assert (price["id"], price["usd_per_unit"]) == (json.loads(made.stdout)["id"], "0.000001")
    history = json.loads(
        cli("prices", "list", "--history", "--provider", "openai", "--model", "gpt-4o", "--json").stdout
    )
    assert len(history["data"]) > len(found["data"])


def test_a_shared_price_is_set_on_the_database(cli: Cli) -> None:
    made = cli("prices", "set", "openai-compatible", "*", "output_tokens", "0", "--shared")
    assert made.exit_code == 0, made.stderr
    (price,) = json.loads(cli("prices", "list", "--provider", "openai-compatible", "--json").stdout)["data"]
    assert (price["id"], price["applies_to"]) == (made.stdout.strip(), "shared")


@pytest.mark.parametrize("words", [("bananas", "1"), ("image", "dear"), ("image", "1", "--from", "tomorrow")])
def test_a_wrong_price_is_wrong_usage(cli: Cli, words: tuple[str, ...]) -> None:
    assert cli("prices", "set", "x", "y", *words, "--shared").exit_code == 2
    assert cli("prices", "set", "x", "y", *words).exit_code == 5


def test_history_needs_a_model(cli: Cli) -> None:
    assert cli("prices", "list", "--history").exit_code == 2


def test_a_report_for_a_person_a_program_and_a_spreadsheet(cli: Cli, spent: Decimal) -> None:
    shown = cli("costs", "report", "-g", "project,model")
    assert shown.exit_code == 0, shown.stderr
    assert "gpt-4o-mini" in shown.stdout
    assert str(spent) in shown.stdout.splitlines()[-1]
    found = json.loads(cli("costs", "report", "-g", "project", "-g", "model", "--json").stdout)
    assert Decimal(found["total"]["amount_usd"]) == spent
    table = rows(cli("costs", "report", "-g", "day", "--csv").stdout)
    assert sum(Decimal(row["amount_usd"]) for row in table) == spent
    assert cli("costs", "report", "-g", "nonsense").exit_code == 5


def test_a_statement_and_an_export_go_to_files(cli: Cli, spent: Decimal, tmp_path: Path) -> None:
    page, table, focus = (tmp_path / name for name in ("statement.html", "statement.csv", "focus.csv"))
    for target in (page, table):
        made = cli("costs", "statement", MONTH, "-o", str(target))
        assert made.exit_code == 0, made.stderr
    assert page.read_text(encoding="utf-8").startswith("<!doctype html>")
    assert f"{spent} USD" in page.read_text(encoding="utf-8")
    assert sum(Decimal(row["amount_usd"]) for row in rows(table.read_text(encoding="utf-8"))) == spent
    assert cli("costs", "export", "-o", str(focus)).exit_code == 0
    assert sum(Decimal(row["BilledCost"]) for row in rows(focus.read_text(encoding="utf-8"))) == spent
    assert rows(cli("costs", "export").stdout) == rows(focus.read_text(encoding="utf-8"))
    assert cli("costs", "statement", MONTH, "-o", str(tmp_path / "absent" / "x.csv")).exit_code == 2
