import json
from datetime import timedelta
from pathlib import Path

import pytest
from typer.testing import Result

from core.kit.ids import JOB, encode, new_id
from tests.factories.api import RunningApi, issue_key
from tests.factories.processes import dispatcher, worker
from tests.factories.tenancy_cases import HOOK_URL
from tests.waybill.cli.conftest import Cli


def error_of(result: Result) -> dict[str, object]:
    """The one JSON line that ``--json`` leaves on stderr for an error."""
    found: dict[str, object] = json.loads(result.stderr.splitlines()[-1])["error"]
    return found


def test_a_job_is_submitted_read_listed_and_cancelled(cli: Cli) -> None:
    submitted = cli("jobs", "submit", "probe.act", "-s", "act=sleep", "-s", "seconds=60", "-m", "ticket=4711")
    assert submitted.exit_code == 0, submitted.stderr
    job_id = submitted.stdout.strip()
    assert job_id.startswith("job_")

    shown = json.loads(cli("jobs", "get", job_id, "--json").stdout)
    assert (shown["state"], shown["metadata"], shown["capability"]) == ("queued", {"ticket": "4711"}, "probe.act")
    listed = json.loads(cli("jobs", "list", "-m", "ticket=4711", "--state", "queued", "--json").stdout)
    assert [job["id"] for job in listed["data"]] == [job_id]
    assert job_id in cli("jobs", "list").stdout
    assert json.loads(cli("jobs", "list", "--all-projects", "--json").stdout)["data"][0]["id"] == job_id
    assert cli("jobs", "list", "--all-projects", "--project", "prj_x").exit_code == 2

    assert cli("jobs", "cancel", job_id).stdout == f"{job_id} is cancelled\n"
    assert cli("jobs", "cancel", job_id).stdout == f"{job_id} is cancelled\n"


def test_the_same_idempotency_key_submits_once(cli: Cli) -> None:
    once = cli("jobs", "submit", "probe.act", "--idempotency-key", "mine", "--json")
    again = cli("jobs", "submit", "probe.act", "--idempotency-key", "mine", "--json")
    other = cli("jobs", "submit", "probe.act", "-s", "note=x", "--idempotency-key", "mine", "--json")
    assert json.loads(once.stdout)["id"] == json.loads(again.stdout)["id"]
    assert other.exit_code == 5


def test_a_job_names_a_receiver_of_its_own_and_shows_it(cli: Cli) -> None:
    named = ("jobs", "submit", "probe.act", "--webhook", HOOK_URL, "--webhook-event", "job.failed")
    refused = cli(*named)
    assert refused.exit_code == 5
    assert "waybill webhooks secret --rotate" in refused.stderr
    assert cli("webhooks", "secret", "--rotate").exit_code == 0
    accepted = cli(*named)
    assert accepted.exit_code == 0, accepted.stderr
    shown = json.loads(cli("jobs", "get", accepted.stdout.strip(), "--json").stdout)
    assert shown["webhook"] == {"url": HOOK_URL, "events": ["job.failed"], "include_result": False}
    assert cli("jobs", "submit", "probe.act", "--webhook-result").exit_code == 2


def test_watching_streams_the_text_and_exits_with_the_outcome(cli: Cli, api: RunningApi) -> None:
    with dispatcher(api.settings), worker(api.settings):
        arguments = ("jobs", "submit", "probe.act", "-s", "act=stream", "-s", "chunks=30", "-s", "seconds=0.01")
        result = cli(*arguments, "--watch")
        assert result.exit_code == 0, result.stderr
        assert "".join(f"word{number} " for number in range(30)) in result.stdout
        assert result.stdout.index("job.started") < result.stdout.index("word0") < result.stdout.index("job.succeeded")

        as_json = cli(*arguments, "--watch", "--json")
        events = [json.loads(line) for line in as_json.stdout.splitlines()]
        ids = [event["id"] for event in events]
        assert ids == sorted(set(ids))
        assert [event["type"] for event in events][-1] == "job.succeeded"
        assert sum(event["type"] == "message.delta" for event in events) == 30

        resumed = cli("jobs", "watch", events[0]["job_id"], "--after", str(ids[-2]), "--json")
        assert [json.loads(line)["id"] for line in resumed.stdout.splitlines()] == ids[-1:]
        nothing_left = cli("jobs", "watch", events[0]["job_id"], "--after", str(ids[-1]), "--json")
        assert (nothing_left.exit_code, nothing_left.stdout) == (0, "")

        failed = cli("jobs", "submit", "probe.act", "-s", "act=fail", "-s", "retryable=false", "--watch")
        assert failed.exit_code == 1
        assert "asked_to_fail" in failed.stdout

        waited = cli("jobs", "submit", "probe.act", "-s", "note=done", "--wait", "--json")
        assert json.loads(waited.stdout)["result"]["said"] == "done"
        timeline = cli("jobs", "get", json.loads(waited.stdout)["id"], "--timeline")
        assert "running (attempt 1)" in timeline.stdout
        assert " ms" in timeline.stdout


def test_knowledge_bases_are_created_filled_and_listed(cli: Cli, tmp_path: Path) -> None:
    assert cli("kb", "create", "handbook").stdout.startswith("kb_")
    again = cli("kb", "create", "handbook", "--json")
    assert again.exit_code == 5
    assert error_of(again)["status"] == 409

    (tmp_path / "empty.txt").write_bytes(b"")
    alone = cli("kb", "ingest", "handbook", str(tmp_path / "empty.txt"), "--json")
    assert alone.exit_code == 1
    report = json.loads(alone.stdout)
    assert [each["name"] for each in report["refused"]] == ["empty.txt"]
    assert report["job"] is None

    assert "handbook" in cli("kb", "list").stdout
    assert json.loads(cli("kb", "documents", "handbook", "--json").stdout)["data"] == []
    missing = cli("kb", "ask", "nowhere", "why?")
    assert missing.exit_code == 1
    assert "waybill kb create nowhere" in missing.stderr


def test_capabilities_come_with_their_schemas(cli: Cli) -> None:
    assert "knowledge.search" in cli("capabilities", "list").stdout
    shown = json.loads(cli("capabilities", "show", "knowledge.search", "--json").stdout)
    assert "query" in shown["input_schema"]["properties"]
    assert "Example input" in cli("capabilities", "show", "knowledge.search").stdout


def test_a_new_key_works_within_its_scopes_only(cli: Cli) -> None:
    made = cli("keys", "create", "--scope", "jobs:read", "--expires-in", "1h", "--json")
    assert made.exit_code == 0, made.stderr
    key = json.loads(made.stdout)
    assert key["scopes"] == ["jobs:read"]
    assert cli("jobs", "list", "--json", WAYBILL_API_KEY=key["key"]).exit_code == 0
    refused = cli("jobs", "submit", "probe.act", WAYBILL_API_KEY=key["key"])
    assert refused.exit_code == 4
    assert "jobs:write" in refused.stderr
    plain = cli("keys", "create", "--name", "laptop")
    assert plain.stdout.count("\n") == 1  # `export WAYBILL_API_KEY=$(waybill keys create)` must work
    assert cli("keys", "create", "--scope", "everything").exit_code == 5


@pytest.mark.parametrize(
    ("arguments", "exit_code", "code"),
    [
        (("jobs", "get", encode(JOB, new_id())), 1, "job_not_found"),
        (("jobs", "submit", "no.such"), 5, "capability_unknown"),
        (("jobs", "submit", "probe.act", "-s", "act=dance"), 5, "validation_error"),
        (("jobs", "submit", "probe.act", "-i", "{"), 2, "input_not_json"),
        (("jobs", "submit", "probe.act", "-i", "[1]"), 2, "input_not_object"),
        (("jobs", "submit", "probe.act", "-i", "@/nowhere.json"), 2, "input_unreadable"),
        (("jobs", "submit", "probe.act", "-s", "act"), 2, "bad_pair"),
        (("capabilities", "show", "no.such"), 1, "capability_not_found"),
    ],
)
def test_what_is_wrong_has_its_exit_code_and_its_stable_code(
    cli: Cli, arguments: tuple[str, ...], exit_code: int, code: str
) -> None:
    result = cli(*arguments, "--json")
    assert (result.exit_code, error_of(result)["code"]) == (exit_code, code)
    assert result.stdout == ""
    result = cli(*arguments)
    assert result.exit_code == exit_code
    assert any(line.startswith("error: ") for line in result.stderr.splitlines())


def test_the_wrong_field_is_named(cli: Cli) -> None:
    assert "body.input.act" in cli("jobs", "submit", "probe.act", "-s", "act=dance").stderr


def test_an_unknown_and_an_expired_key_are_refused(cli: Cli, api: RunningApi) -> None:
    unknown = cli("jobs", "list", WAYBILL_API_KEY="wb_live_nonsense")
    assert unknown.exit_code == 4
    assert "waybill keys create" in unknown.stderr
    short = issue_key(api.settings, expires_in=timedelta(microseconds=1))
    expired = cli("jobs", "list", "--json", WAYBILL_API_KEY=short.plaintext)
    assert (expired.exit_code, error_of(expired)["status"]) == (4, 401)


def test_input_may_come_from_a_file_or_from_stdin(cli: Cli, tmp_path: Path) -> None:
    file = tmp_path / "input.json"
    file.write_text('{"act": "noop", "note": "from the file"}', encoding="utf-8")
    assert cli("jobs", "submit", "probe.act", "-i", f"@{file}").exit_code == 0
    assert cli("jobs", "submit", "probe.act", "-i", "-", stdin='{"act": "noop"}').exit_code == 0
    assert cli("jobs", "submit", "probe.act", "-i", "-", stdin="").exit_code == 2
