"""``waybill quality dataset|run|diff``: labels become cases, cases become a run, and two runs are compared."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from typer.testing import Result

from core.batches.outcome import finish_once
from core.batches.service import Batches
from core.batches.submission import submit_lines
from core.keys.principal import Principal
from core.kit.blob import open_blob_store
from core.kit.db import Database
from core.kit.ids import JOB, encode
from pipelines.registry import manifests
from tests.factories.api import RunningApi, principal_of
from tests.factories.attempts import attempt
from tests.factories.quality import Ended, write_ended
from tests.factories.waiting import wait_until
from tests.waybill.cli.conftest import Cli

pytestmark = pytest.mark.own_database


def answered(api: RunningApi, cli: Cli, answers: dict[str, str], *arguments: str) -> Result:
    """Run the command while the jobs of its batch are answered, each by the note in its input."""
    database = Database(api.settings, application_name="test-regression", pool_size=3)
    runtime, blobs = api.runtime, open_blob_store(api.settings)
    with ThreadPoolExecutor(1) as pool, api.client() as client:
        command = pool.submit(cli, "quality", "run", *arguments)

        def is_done() -> bool:
            for job in submit_lines(database, runtime.jobs, manifests(), 100).made:
                given = client.get("/v1/jobs", params={"state": "queued"}).json()["data"]
                assert encode(JOB, job.id) in [each["id"] for each in given]
                with database.tenant(job.organization_id) as session:
                    _, payload, _ = runtime.jobs.get_with_payloads(session, _principal(api), job.id)
                assert payload is not None
                with attempt(api.settings, encode(JOB, job.id)) as driven:
                    said = answers.get(payload["note"])
                    if said is None:
                        driven.fail("asked_to_fail")
                    else:
                        driven.succeed(answer=said)
            finish_once(database, blobs, Batches(runtime.jobs), runtime.files)
            return command.done()

        wait_until(is_done, timeout_seconds=120, what="the run to end")
    database.close()
    return command.result()


def _principal(api: RunningApi) -> Principal:
    return principal_of(api.key)


def test_labels_become_cases_that_are_run_and_compared(
    cli: Cli, api: RunningApi, database_url: str, tmp_path: Path
) -> None:
    jobs = [
        Ended({"answer": "Seven days."}, input={"act": "noop", "note": note}, capability="probe.act")
        for note in ("one", "two", "three", "four")
    ]
    ids = [encode(JOB, each) for each in write_ended(database_url, api.key.organization_id, api.key.project_id, jobs)]
    expected = ("--expected", '{"answer": "seven days"}')
    assert cli("quality", "label", ids[0], "--verdict", "good", *expected).exit_code == 0
    assert cli("quality", "label", ids[1], "--verdict", "bad", "--expected", '{"answer": 10}').exit_code == 0
    # A bad result of which nobody says what it should have been is no case.
    assert cli("quality", "label", ids[2], "--verdict", "bad").exit_code == 0
    assert cli("quality", "label", ids[3], "--verdict", "good").exit_code == 0
    golden, first, second = (tmp_path / name for name in ("golden.jsonl", "first.jsonl", "second.jsonl"))
    made = cli("quality", "dataset", "probe.act", "--output", str(golden))
    assert (made.exit_code, "3 cases" in made.stderr) == (0, True), made.output
    cases = [json.loads(line) for line in golden.read_text().splitlines()]
    assert {case["custom_id"] for case in cases} == {ids[0], ids[1], ids[3]}

    good = {"one": "It is seven days.", "two": "10 days", "four": "Whatever"}
    done = answered(api, cli, good, str(golden), "--output", str(first), "--min-share", "1")
    assert done.exit_code == 0, done.output
    assert "2 of 2 checked cases passed; 3 in total" in done.stdout
    worse = {"one": "It is seven days.", "two": "9 days"}
    done = answered(api, cli, worse, str(golden), "--output", str(second), "--min-share", "0.9")
    assert done.exit_code == 1, done.output
    assert "1 of 3 checked cases passed" in done.stdout
    assert "33.3%" in done.stderr

    # The probe asks no model, so that there is no version to record the run for.
    done = answered(api, cli, good, str(golden), "--record", "golden")
    assert done.exit_code != 0
    assert "one model version" in done.stderr

    compared = cli("quality", "diff", str(first), str(second))
    assert compared.exit_code == 1
    assert "3 cases: 1 identical, 0 gained, 1 lost" in compared.stdout
    back = json.loads(cli("quality", "diff", str(second), str(first), "--json").stdout)
    assert (back["gained"], back["lost"]) == (1, 0)
    assert cli("quality", "diff", str(first), str(first)).exit_code == 0


@pytest.mark.parametrize("line", ["", "{", "[]", '{"custom_id": "a"}', '{"custom_id": "a", "capability": "x.y"}'])
def test_a_file_that_is_no_data_set_is_refused(cli: Cli, tmp_path: Path, line: str) -> None:
    file = tmp_path / "cases.jsonl"
    file.write_text(f"{line}\n", encoding="utf-8")
    refused = cli("quality", "run", str(file))
    assert refused.exit_code == 2
    assert "cases.jsonl" in refused.stderr


def test_a_models_gate_is_set_listed_and_removed(cli: Cli, api: RunningApi) -> None:
    with api.client() as client:
        model = client.post("/v1/models", json={"name": "answers"}).json()["id"]
    assert "no gates" in cli("quality", "gates").stderr
    made = cli("quality", "gate", model, "--dataset", "golden", "--min-share", "0.8", "--min-cases", "5")
    assert (made.exit_code, "80% of golden" in made.stdout) == (0, True), made.output
    assert "80.0%" in cli("quality", "gates").stdout
    assert cli("quality", "gate", model).exit_code == 2
    assert cli("quality", "gate", model, "--remove").exit_code == 0
    assert cli("quality", "gate", model, "--remove").exit_code != 0
