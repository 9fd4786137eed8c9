"""A client of ``/v1`` that openapi-python-client generates: it submits a job and waits for its end."""

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import httpx
from cases import API_KEY, BASE_URL, MODEL, case

ROOT = BASE_URL.removesuffix("/openai/v1")
FOLDER = Path(tempfile.mkdtemp())
INPUT = {"model": MODEL, "messages": [{"role": "user", "content": "Hello"}]}


@case("generate")
def _() -> Any:
    document = FOLDER / "openapi.json"
    document.write_text(json.dumps(httpx.get(f"{ROOT}/openapi.json", timeout=60).json()))
    done = subprocess.run(
        [
            *(Path(sys.executable).with_name("openapi-python-client"), "generate", "--meta", "none"),
            *("--path", document, "--output-path", FOLDER / "waybill_api"),
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    # It leaves out answers that are no JSON, such as a file's bytes, and says so.
    said = done.stdout + done.stderr
    assert said.count("WARNING") == said.count("Unsupported content_type"), said[:1500]
    return (FOLDER / "waybill_api" / "client.py").exists()


@case("submit and poll")
def _() -> Any:
    sys.path.insert(0, str(FOLDER))
    from waybill_api.api.jobs import read_job, submit_job
    from waybill_api.client import AuthenticatedClient
    from waybill_api.models import SubmitJob

    client = AuthenticatedClient(base_url=ROOT, token=API_KEY)
    body = SubmitJob.from_dict({"capability": "models.chat", "input": INPUT})
    job = submit_job.sync(client=client, body=body)
    for _ in range(10):
        job = read_job.sync(job.id, client=client, wait=30)
        if job.state == "succeeded":
            return job.result
    return None
