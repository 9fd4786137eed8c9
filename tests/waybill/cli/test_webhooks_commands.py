import json

from core.webhooks.events import EventType
from tests.factories.processes import ROOT
from tests.factories.tenancy_cases import HOOK_URL
from tests.waybill.cli.conftest import Cli


def test_a_receiver_from_its_making_to_its_end(cli: Cli) -> None:
    made = cli("webhooks", "create", HOOK_URL, "--event", "job.failed", "--description", "ours")
    assert made.exit_code == 0, made.stderr
    assert made.stdout.startswith("whsec_")
    endpoint = json.loads(cli("webhooks", "list", "--json").stdout)["data"][0]
    assert (endpoint["url"], endpoint["events"], endpoint["state"]) == (HOOK_URL, ["job.failed"], "active")
    assert "secret" not in endpoint
    where = endpoint["id"]
    assert "job.failed" in cli("webhooks", "list").stdout
    assert "paused" in cli("webhooks", "pause", where).stdout
    assert "active" in cli("webhooks", "resume", where).stdout
    assert json.loads(cli("webhooks", "update", where, "--event", "job.expired", "--json").stdout)["events"] == [
        "job.expired"
    ]
    rotated = cli("webhooks", "rotate", where, "--overlap-hours", "1")
    assert rotated.stdout.startswith("whsec_")
    assert rotated.stdout != made.stdout
    tested = json.loads(cli("webhooks", "test", where, "--json").stdout)
    assert (tested["event"], tested["state"]) == ("webhook.test", "pending")
    assert tested["id"] in cli("webhooks", "deliveries", "--endpoint", where).stdout
    shown = cli("webhooks", "delivery", tested["id"])
    assert '"type": "webhook.test"' in shown.stdout
    assert cli("webhooks", "redeliver", tested["id"]).exit_code != 0
    assert "0 deliveries" in cli("webhooks", "redeliver", where, "--since", "6h").stdout
    assert cli("webhooks", "redeliver", where, "--since", "yesterday").exit_code == 2
    assert cli("webhooks", "remove", where).exit_code == 0
    assert cli("webhooks", "list").stdout.strip() == ""
    assert json.loads(cli("webhooks", "deliveries", "--json").stdout)["data"][0]["state"] == "cancelled"


def test_the_project_has_a_secret_of_its_own(cli: Cli) -> None:
    assert cli("webhooks", "secret").stdout.strip() == ""
    assert cli("webhooks", "secret", "--rotate").stdout.startswith("whsec_")
    assert cli("webhooks", "secret").stdout.startswith("created ")


def test_a_hostile_target_is_refused_with_the_reason(cli: Cli) -> None:
    refused = cli("webhooks", "create", "https://169.254.169.254/")
    assert refused.exit_code != 0
    assert "public internet" in refused.stderr


def test_every_event_is_named_in_the_reference() -> None:
    page = (ROOT / "docs/reference/webhooks.md").read_text(encoding="utf-8")
    assert all(f"`{event.value}`" in page for event in EventType)
