"""The pages about the client: the how-to runs as it is written, and the reference is what would be written now."""

import re
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from tests.factories.api import RunningApi, issue_key
from tests.factories.attempts import attempt
from tests.factories.processes import ROOT
from tests.waybill.client.test_against_the_api import suspend
from waybill.client import Job, WaybillClient, reference
from waybill.client.models import JobRecord

pytestmark = pytest.mark.own_database

HOW_TO = ROOT / "docs" / "howto" / "use-the-python-client.md"


class Worker:
    """Works on whatever a key's project has in its queue, until it is stopped."""

    def __init__(self, api: RunningApi, key: str) -> None:
        self._api = api
        self._key = key
        self._stopped = threading.Event()
        self._asked: set[str] = set()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._thread.join(20)

    def _run(self) -> None:
        with WaybillClient(self._api.url, self._key) as client:
            while not self._stopped.wait(0.02):
                for job in client.jobs.list(states=["queued"]).data:
                    self._work(job)

    def _work(self, job: Job) -> None:
        with attempt(self._api.settings, job.id) as driven:
            if job.capability == "customer_operations.resolve" and job.id not in self._asked:
                self._asked.add(job.id)
                suspend(driven)
                return
            driven.delta("Two ")
            driven.delta("years.")
            driven.succeed(answered=True, answer="Two years.")


@pytest.fixture
def environment(api: RunningApi, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    key = issue_key(api.settings, organization="readers of the how-to").plaintext
    monkeypatch.setenv("WAYBILL_URL", api.url)
    monkeypatch.setenv("WAYBILL_API_KEY", key)
    with Worker(api, key):
        yield


def test_the_how_to_works_as_it_is_written(environment: None, capsys: pytest.CaptureFixture[str]) -> None:
    blocks = re.findall(r"```python\n(.*?)```", HOW_TO.read_text(encoding="utf-8"), re.DOTALL)
    names: dict[str, Any] = {}
    said = []
    for block in blocks:
        exec(compile(block, HOW_TO.name, "exec"), names)
        said.append(capsys.readouterr().out)
    names["client"].close()
    asked, followed, awaited, person, wrong, once, listed = said
    assert "'answer': 'Two years.'" in asked
    assert followed == "Two years.succeeded\n"
    assert awaited == "['Two years.', 'Two years.']\n"
    assert person.startswith("May it be refunded?")
    assert re.search(r"knowledge_base|query", wrong)
    assert once == ""
    assert len(listed.splitlines()) >= 4


def test_the_reference_is_what_would_be_written_now() -> None:
    page = ROOT / "docs" / "reference" / "client.md"
    assert page.read_text(encoding="utf-8") == reference.page()
    assert "| `client.jobs.submit(capability, payload, *, metadata=None" in page.read_text(encoding="utf-8")
    assert all(f"| `job.{name}` |" in page.read_text(encoding="utf-8") for name in JobRecord.model_fields)
