"""What the product must survive, provoked on containers: each strike meets jobs under way, and every job ends once."""

import os
import signal
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from time import monotonic, sleep
from typing import Any
from uuid import uuid4

from core.kit.ids import JOB, decode
from tests.containers.engine import Project, podman
from tests.factories.processes import ROOT
from tests.factories.waiting import wait_until
from waybill.client import Job, WaybillClient

_QUESTION = "Up to what amount is a mobile phone compensated?"
_DOCUMENTS = {
    "claims-and-liability-policy.pdf": "application/pdf",
    "refunds-and-returns-policy.html": "text/html",
    "glossary.md": "text/markdown",
}
_SOME_OF_EACH = {"research": 1, "multimodal": 2, "customer-operations": 4, "knowledge": 6, "models": 12}
_LATEST = 8
_END_SECONDS = 300.0
_START_SECONDS = 60.0
_FLUSH = """
from core.kit.redis import connect
from core.kit.settings import get_settings
connect(get_settings()).flushall()
"""
# Counted where they are kept: a stream of events stops at the first final one.
_NOT_ENDED_ONCE = """
SELECT count(*) FROM jobs WHERE id = ANY('{{{ids}}}') AND 1 <> (
  SELECT count(*) FROM job_events AS event WHERE event.job_id = jobs.id AND event.type IN
    ('job.succeeded', 'job.failed', 'job.cancelled', 'job.expired', 'job.rejected'))
"""


class Work:
    """Jobs of each pool, against one API."""

    def __init__(self, client: WaybillClient) -> None:
        self._client = client
        base = client.knowledge_bases.create(f"strikes-{uuid4().hex[:8]}")
        for name, media_type in _DOCUMENTS.items():
            content = (ROOT / "samples" / "corpus" / name).read_bytes()
            client.knowledge_bases.upload(base.id, name, content, media_type)
        picture = ROOT / "docs" / "examples" / "multimodal" / "receipt.png"
        file = client.files.upload(picture, content_type="image/png")
        messages = [{"role": "user", "content": f"A phone costs 20 EUR. {_QUESTION}"}]
        self._inputs: dict[str, tuple[str, dict[str, Any]]] = {
            "knowledge": ("knowledge.search", {"knowledge_base": base.id, "query": _QUESTION}),
            "models": ("models.chat", {"model": "default", "messages": messages}),
            "customer-operations": ("customer_operations.resolve", {"message": "Where is my parcel?"}),
            "multimodal": ("multimodal.understand", {"files": [file.id], "question": "What is the total?"}),
            "research": (
                "research.report",
                {"question": _QUESTION, "knowledge_bases": [base.id], "sub_questions": 1},
            ),
        }
        client.jobs.submit("knowledge.ingest", {"knowledge_base": base.id}).wait(timeout_seconds=_END_SECONDS)

    def submit(self, pool: str) -> Job:
        """A job of the pool."""
        capability, asked = self._inputs[pool]
        return self._client.jobs.submit(capability, asked)


@dataclass(frozen=True, slots=True)
class Strike:
    """One thing that goes wrong while jobs run and further ones are submitted; `jobs` is how many of each pool."""

    name: str
    blow: Callable[[Project], None]
    jobs: Mapping[str, int] = field(default_factory=lambda: _SOME_OF_EACH)


def _kill(service: str) -> Callable[[Project], None]:
    """End the container's processes as the kernel out of memory would, and see that it is started again."""

    def blow(project: Project) -> None:
        before = project.containers()[service]
        os.kill(before, signal.SIGKILL)
        wait_until(
            lambda: project.containers().get(service, before) != before,
            timeout_seconds=_START_SECONDS,
            what=f"{service} to be started again",
            pause_seconds=0.5,
        )

    return blow


def _restart_postgres(project: Project) -> None:
    podman("restart", project.container("postgres"))


def _flush(project: Project) -> None:
    project.execute("api-1", "python", "-c", _FLUSH)


STRIKES = (
    Strike("kill worker-models", _kill("worker-models"), {"models": 60}),
    Strike("kill worker-knowledge", _kill("worker-knowledge"), {"knowledge": 20}),
    Strike("kill worker-customer-operations", _kill("worker-customer-operations"), {"customer-operations": 20}),
    Strike("kill worker-multimodal", _kill("worker-multimodal"), {"multimodal": 4}),
    Strike("kill worker-research", _kill("worker-research"), {"research": 2}),
    Strike("kill dispatcher-1", _kill("dispatcher-1")),
    Strike("kill dispatcher-2", _kill("dispatcher-2")),
    Strike("kill api-1", _kill("api-1")),
    Strike("kill deliverer", _kill("deliverer")),
    Strike("flush Valkey", _flush),
    Strike("kill valkey", _kill("valkey")),
    Strike("restart Postgres", _restart_postgres),
    Strike("kill postgres", _kill("postgres")),
)


def provoke(strike: Strike, project: Project, work: Work) -> str:
    """Submit, strike while a job runs, wait for all; returns figures. Raises AssertionError when a job is not whole."""
    jobs: list[Job] = []

    def submit() -> None:
        for pool, count in strike.jobs.items():
            for _ in range(count):
                jobs.append(work.submit(pool))  # noqa: PERF401 - the strike comes while they are submitted

    with ThreadPoolExecutor(1) as background:
        submission = background.submit(submit)
        running = _wait_for_a_running_one(jobs, submission)
        before = len(jobs)
        began = monotonic()
        strike.blow(project)
        repaired = monotonic() - began
        submission.result()
    for job in jobs:
        job.wait(timeout_seconds=_END_SECONDS)
    ended = monotonic() - began
    wrong = {job.id: (job.state, job.reason) for job in jobs if job.state != "succeeded"}
    assert not wrong, f"did not succeed: {wrong}"
    query = _NOT_ENDED_ONCE.format(ids=",".join(str(decode(JOB, job.id)) for job in jobs))
    psql = ("psql", "--username", "postgres", "--dbname", "waybill", "--tuples-only", "--command")
    twice = int(project.execute("postgres", *psql, query))
    assert twice == 0, f"{twice} jobs did not end exactly once"
    again = sum(job.attempt > 1 for job in jobs)
    return (
        f"{len(jobs)} jobs, {before} of them before the strike, at least {running} running, {again} begun again; "
        f"repaired after {repaired:.1f} s, all ended after {ended:.1f} s"
    )


def _wait_for_a_running_one(jobs: Sequence[Job], submission: Future[None]) -> int:
    """How many of the latest jobs run when at least one does."""
    until = monotonic() + _START_SECONDS
    while monotonic() < until:
        is_whole = submission.done()
        running = sum(job.refresh().state == "running" for job in jobs[-_LATEST:])
        if running:
            return running
        assert not (is_whole and all(job.is_terminal for job in jobs)), "every job had ended before one was seen to run"
        sleep(0.02)
    raise AssertionError(f"no job ran within {_START_SECONDS:.0f} s")
