"""What the processes write about a job names it as the API does, so that one search finds every line of it."""

import re
import socket
from functools import partial

import httpx

from core.kit.settings import Settings
from tests.factories.api import issue_key
from tests.factories.processes import dispatcher, running, worker
from tests.factories.waiting import wait_until

BARE = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.IGNORECASE)
ENDED = {"succeeded", "failed"}


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


def has_ended(client: httpx.Client, job_id: str) -> bool:
    return client.get(f"/v1/jobs/{job_id}").json()["state"] in ENDED


def test_a_job_through_every_process_leaves_no_bare_uuid_in_their_logs(settings: Settings) -> None:
    key, port, debug = issue_key(settings), free_port(), {"WAYBILL_LOG_LEVEL": "debug"}
    with (
        running(settings, "api", until="Uvicorn running", WAYBILL_API_PORT=str(port), **debug) as api,
        dispatcher(settings, **debug) as sent,
        worker(settings, "probe", 2, **debug) as ran,
        httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client,
    ):
        client.headers["authorization"] = f"Bearer {key.plaintext}"
        acts = ("noop", "fail", "crash")
        body = {"capability": "probe.act", "max_attempts": 1}
        ids = [client.post("/v1/jobs", json={**body, "input": {"act": act}}).json()["id"] for act in acts]
        for each in ids:
            wait_until(partial(has_ended, client, each), timeout_seconds=30, what="the job to end")
        project_id = client.get("/v1/projects").json()["data"][0]["id"]
        wait_until(lambda: ran.output().count(ids[-1]) > 0, timeout_seconds=10, what="the worker to write of the job")
        for process in (api, sent, ran):
            bare = [line for line in process.output().splitlines() if BARE.search(line)]
            assert bare == []
        assert all(each in ran.output() for each in (*ids, project_id))
        assert project_id in api.output()
