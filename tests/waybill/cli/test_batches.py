"""``waybill batches`` against a running API; what becomes of lines is in tests/workers/test_batches.py."""

import json
from pathlib import Path

import pytest

from core.batches.intake import look_once
from core.batches.outcome import finish_once
from core.batches.service import Batches
from core.batches.submission import submit_lines
from core.kit.blob import open_blob_store
from core.kit.db import Database
from pipelines.registry import manifests
from tests.factories.api import RunningApi
from tests.factories.attempts import attempt
from tests.waybill.cli.conftest import Cli


@pytest.fixture
def lines(tmp_path: Path) -> Path:
    file = tmp_path / "lines.jsonl"
    file.write_text('{"custom_id": "a", "input": {"note": "one"}}\n{"custom_id": "b", "input": {}}\n', encoding="utf-8")
    return file


def keep_going(api: RunningApi) -> list[str]:
    """A round of what the dispatcher does; returns the new jobs' ids in the order of their lines."""
    database = Database(api.settings, application_name="test-batches", pool_size=3)
    runtime, blobs = api.runtime, open_blob_store(api.settings)
    look_once(database, blobs, manifests())
    submit_lines(database, runtime.jobs, manifests(), 100)
    finish_once(database, blobs, Batches(runtime.jobs), runtime.files)
    database.close()
    with api.client() as client:
        return [job["id"] for job in client.get("/v1/jobs", params={"state": "queued"}).json()["data"]][::-1]


def test_a_file_becomes_a_batch_and_its_results_a_file(cli: Cli, api: RunningApi, lines: Path, tmp_path: Path) -> None:
    submitted = cli("batches", "submit", str(lines), "--capability", "probe.act", "-m", "run=7", "--json")
    assert submitted.exit_code == 0, submitted.output
    batch = json.loads(submitted.stdout)
    assert (batch["state"], batch["metadata"]) == ("validating", {"run": "7"})
    jobs = keep_going(api)
    assert "lines   2: 2 queued" in cli("batches", "show", batch["id"]).stdout
    with attempt(api.settings, jobs[0]) as driven:
        driven.succeed(said="done")
    with attempt(api.settings, jobs[1]) as driven:
        driven.fail("asked_to_fail")
    first = cli("batches", "results", batch["id"]).stdout.splitlines()
    assert [json.loads(row)["status"] for row in first] == ["succeeded", "failed"]
    keep_going(api)
    keep_going(api)
    watched = cli("batches", "watch", batch["id"])
    assert "completed" in watched.stdout
    assert "lines   2: 1 succeeded, 1 failed" in watched.stdout
    target = tmp_path / "results.jsonl"
    assert cli("batches", "results", batch["id"], "--output", str(target), "--after", "1").exit_code == 0
    assert [json.loads(row)["custom_id"] for row in target.read_text().splitlines()] == ["b"]
    assert batch["id"] in cli("batches", "list", "--state", "completed").stdout
    assert cli("batches", "results", batch["id"], "--output", str(target)).exit_code != 0


def test_what_is_wrong_with_a_file_is_said_line_by_line(cli: Cli, api: RunningApi, tmp_path: Path) -> None:
    file = tmp_path / "bad.jsonl"
    file.write_text('{"custom_id": "a", "input": {"seconds": -1}}\nno json\n', encoding="utf-8")
    batch = json.loads(cli("batches", "submit", str(file), "--capability", "probe.act", "--json").stdout)
    keep_going(api)
    said = cli("batches", "show", batch["id"]).stdout
    assert "line 1, input.seconds" in said
    assert "line 2: one JSON object a line" in said


def test_a_batch_is_cancelled(cli: Cli, api: RunningApi, lines: Path) -> None:
    batch = json.loads(cli("batches", "submit", str(lines), "--capability", "probe.act", "--json").stdout)
    keep_going(api)
    assert "cancel" in cli("batches", "cancel", batch["id"]).stdout


def test_there_may_be_none(cli: Cli) -> None:
    assert "waybill batches submit" in cli("batches", "list", "--state", "expired").output
