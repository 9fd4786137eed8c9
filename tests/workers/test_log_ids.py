"""What the processes write about a job names it as the API does, and holds nothing of what it carries."""

import json
import re
from functools import partial

import httpx

from core.kit.logging import SCHEMA
from core.kit.settings import Settings
from tests.factories.api import issue_key
from tests.factories.processes import dispatcher, running, worker
from tests.factories.trace_collector import collecting
from tests.factories.waiting import wait_until
from waybill.stack.postgres import free_port

BARE = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.IGNORECASE)
ENDED = {"succeeded", "failed"}
ACTS = ("noop", "fail", "crash")
SECRET = "canary-8c1f5d"
PERSONAL = "Annelies Vandenbroucke"


def has_ended(client: httpx.Client, job_id: str) -> bool:
    return client.get(f"/v1/jobs/{job_id}").json()["state"] in ENDED


def canary(act: str) -> dict[str, object]:
    """What a job carries, in its input and in what its client says of it."""
    return {
        "capability": "probe.act",
        "max_attempts": 1,
        "input": {"act": act, "note": f"{PERSONAL}, password={SECRET}"},
        "metadata": {"end_user": PERSONAL},
    }


def scraped(port: int) -> str:
    accept = "application/openmetrics-text; version=1.0.0"
    return httpx.get(f"http://127.0.0.1:{port}/metrics", headers={"accept": accept}, trust_env=False).text


def test_a_job_through_every_process_leaves_neither_what_it_carries_nor_a_bare_uuid(settings: Settings) -> None:
    """In their logs, in what they export, and in their metrics."""
    key, port, sending, running_jobs = issue_key(settings), free_port(), free_port(), free_port()
    with collecting() as collector:
        exported = {"WAYBILL_LOG_LEVEL": "debug", "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url}
        with (
            running(settings, "api", until="Uvicorn running", WAYBILL_API_PORT=str(port), **exported) as api,
            dispatcher(settings, **exported, WAYBILL_METRICS_PORT=str(sending)) as sent,
            worker(settings, "probe", 2, **exported, WAYBILL_METRICS_PORT=str(running_jobs)) as ran,
            httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client,
        ):
            client.headers["authorization"] = f"Bearer {key.plaintext}"
            ids = [client.post("/v1/jobs", json=canary(act)).json()["id"] for act in ACTS]
            for each in ids:
                wait_until(partial(has_ended, client, each), timeout_seconds=30, what="the job to end")
            project_id = client.get("/v1/projects").json()["data"][0]["id"]
            assert SECRET in client.get(f"/v1/jobs/{ids[0]}").text, "the canary never flew"
            last = ids[-1]
            wait_until(lambda: ran.output().count(last) > 0, timeout_seconds=10, what="the worker to write of the job")
            wait_until(lambda: last in collector.text, timeout_seconds=30, what="the worker to export of the job")
            metrics = [scraped(each) for each in (port, sending, running_jobs)]
            written = [process.output() for process in (api, sent, ran)]
    lines = [line for output in written for line in output.splitlines()]
    assert {json.loads(line)["schema"] for line in lines} == {SCHEMA}, "something writes past the schema"
    assert [line for line in lines if BARE.search(line)] == []
    assert all(each in written[2] for each in (*ids, project_id))
    assert project_id in written[0]

    records = "".join(str(record) for record in collector.log_records)
    assert BARE.search(records) is None
    services = {
        attribute.value.string_value
        for request in collector.log_requests
        for resource in request.resource_logs
        for attribute in resource.resource.attributes
        if attribute.key == "service.name"
    }
    assert services == {"waybill-api", "waybill-dispatcher", "waybill-worker-probe"}
    assert 'waybill_job_attempt_duration_seconds_count{capability="probe.act",outcome="failed"} 2.0' in metrics[2]
    assert "# {trace_id=" in metrics[2], "no exemplar"
    # The capability quotes its input as it crashes.
    assert "RuntimeError: [withheld]" in written[2]
    for text in (*written, *metrics, collector.text):
        for secret in (SECRET, PERSONAL, key.plaintext):
            assert secret not in text
