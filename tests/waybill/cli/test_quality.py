import json
from datetime import UTC, datetime, timedelta

import pytest

from core.kit.db import Database
from tests.factories.api import RunningApi
from tests.factories.quality import Collector, Ended, answer, write_alert, write_ended
from tests.waybill.cli.conftest import Cli

pytestmark = pytest.mark.own_database


def test_quality_is_drawn_and_alerts_are_dealt_with(cli: Cli, api: RunningApi, database_url: str) -> None:
    none = cli("quality", "show")
    assert (none.exit_code, "no jobs ended" in none.stderr) == (0, True)
    now = datetime.now(UTC)
    jobs = [
        Ended(answer(verified, 4 - verified), ended_at=now - timedelta(days=back))
        for back, verified in ((3, 4), (2, 3), (0, 1))
        for _ in range(20)
    ]
    write_ended(database_url, api.key.organization_id, api.key.project_id, jobs)
    database = Database(api.settings, application_name="test-quality", pool_size=2)
    Collector(api.settings, database).collect(len(jobs))
    database.close()
    shown = cli("quality", "show", "knowledge.search", "--signal", "quotes_verified", "--by", "prompt_version")
    assert shown.exit_code == 0, shown.stderr
    assert "0.667" in shown.stdout
    assert "█▆·▁" in shown.stdout
    assert "sha256:p" in shown.stdout
    [line] = json.loads(cli("quality", "show", "-s", "quotes_verified", "--json").stdout)["data"]
    assert line["jobs"] == 60

    alert = write_alert(api.settings, api.key.organization_id, version="local/new")
    listed = cli("quality", "alerts", "--state", "open")
    assert alert in listed.stdout
    assert "0.9 → 0.7" in listed.stdout
    one = cli("quality", "alert", alert).stdout
    assert "local/new" in one
    assert one.count("job_") == 10
    assert "acknowledged" in cli("quality", "acknowledge", alert).stdout
    closed = cli("quality", "close", alert, "--reason", "rolled back", "--new-normal")
    assert "rolled back" in closed.stdout
    assert cli("quality", "close", alert).exit_code != 0
    assert "no quality alerts" in cli("quality", "alerts", "--state", "open").stderr


def test_results_are_chosen_and_labeled(cli: Cli, api: RunningApi, database_url: str) -> None:
    jobs = [Ended({"text": "Hello."}, capability="models.chat", input={"messages": ["Hi"]}) for _ in range(3)]
    write_ended(database_url, api.key.organization_id, api.key.project_id, jobs)
    database = Database(api.settings, application_name="test-quality", pool_size=2)
    Collector(api.settings, database).collect(len(jobs))
    database.close()
    chosen = cli("quality", "choose", "models.chat", "--labelers", "2")
    assert chosen.exit_code == 0, chosen.stderr
    ids = chosen.stdout.split()
    assert len(ids) == 3
    # The first is good, the second bad with a note, and then somebody has had enough.
    asked = cli("quality", "label", "--capability", "models.chat", stdin="g\n\nb\nno greeting\nq\n")
    assert asked.exit_code == 0, asked.stderr
    assert "1 of 3" in asked.stdout
    assert '"text": "Hello."' in asked.stdout
    assert '"Hi"' in asked.stdout
    assert [line.split()[1] for line in asked.stdout.splitlines() if line.endswith((" good", " bad"))] == [
        "good",
        "bad",
    ]
    left = [each for each in ids if f"{each} good" not in asked.stdout and f"{each} bad" not in asked.stdout]
    said = cli("quality", "label", left[0], "--verdict", "bad", "--expected", '{"text": "Hi."}', "--json")
    assert json.loads(said.stdout)["expected"] == {"text": "Hi."}
    assert "nothing to label" in cli("quality", "label", "--capability", "models.chat").stderr
    assert "no two people" in cli("quality", "agreement").stderr
    assert cli("quality", "label", "--verdict", "bad").exit_code == 2
    assert cli("quality", "label", left[0], "--verdict", "bad", "--expected", "[]").exit_code == 2
    assert cli("quality", "choose").exit_code == 2
