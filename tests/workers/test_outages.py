"""A dependency that is unavailable for a while: jobs wait in the queue, spend no attempt and hold nothing meanwhile."""

import time
from collections.abc import Callable
from datetime import datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy import text

from api.jobs.schemas import to_wire
from api.openai.errors import of_job
from core.capability import LeaseLost
from core.jobs.states import RETRY, JobState, Reason
from core.kit.clock import utc_now
from core.kit.ids import JOB, encode
from core.kit.settings import Settings
from tests.factories.attempts import attempt
from tests.factories.jobs import Tenant
from tests.factories.processes import dispatcher, worker
from tests.factories.provider_simulator import Answer, Failure, ProviderSimulator, Recorded, Script
from tests.factories.registered import Registrar, write_deployments
from tests.factories.waiting import wait_until

RecordProperty = Callable[[str, object], None]
pytestmark = pytest.mark.timeout(240)


class Outage:
    """A provider that answers `failure` until `seconds` after the first request."""

    def __init__(self, seconds: float, failure: Failure) -> None:
        self.seconds, self.failure = seconds, failure
        self.until: float | None = None

    def __call__(self, _: Recorded) -> Script:
        if self.until is None:
            self.until = time.monotonic() + self.seconds
        return self.failure if time.monotonic() < self.until else Answer("back")


def held(tenant: Tenant, jobs: list[UUID]) -> int:
    """How many of these jobs have a worker or a slot."""
    with tenant.database.system() as session:
        found = session.execute(
            text("SELECT count(*) FROM jobs WHERE id = ANY(:ids) AND num_nonnulls(dispatched_at, worker) > 0"),
            {"ids": jobs},
        )
        return int(found.scalar_one())


def provoke(tenant: Tenant, settings: Settings, folder: Path, seconds: float, count: int) -> float:
    """An outage that `count` jobs meet; returns how long the last one took."""
    with ProviderSimulator(Outage(seconds, Failure(status=503))) as provider:
        file = write_deployments(folder, there=provider)
        registrar = Registrar(settings.model_copy(update={"deployments_file": file}), tenant)
        registrar.model("writer", {"deployment": "there"})
        began = time.monotonic()
        with dispatcher(settings), worker(settings, "probe", 2, WAYBILL_DEPLOYMENTS_FILE=str(file)):
            jobs = [tenant.submit("ask", model="writer", note="?", max_attempts=1) for _ in range(count)]
            wait_until(
                lambda: all(tenant.job(job).reason == Reason.DEPENDENCY_UNAVAILABLE for job in jobs[:2]),
                timeout_seconds=20,
                what="jobs to be put back",
            )
            waiting = tenant.job(jobs[0])
            if waiting.reason == Reason.DEPENDENCY_UNAVAILABLE:
                assert waiting.error is not None
                assert waiting.error["dependency"] == "model deployment there"
                assert datetime.fromisoformat(waiting.error["until"]) > waiting.created_at
                refusal = of_job(waiting)
                assert (refusal.status, refusal.repeat) == (503, True)
                assert int(refusal.headers["Retry-After"]) >= 1
            # Two slots are enough for others: what waits for the provider has none.
            tenant.wait(tenant.submit(), timeout_seconds=20)
            wait_until(lambda: held(tenant, jobs) == 0, timeout_seconds=20, what="a moment at which nothing is held")
            ended = tenant.wait(*jobs, timeout_seconds=seconds + 80)
        took = time.monotonic() - began
    assert [job.state for job in ended] == [JobState.SUCCEEDED] * count
    assert [(to_wire(job)["attempt"], job.failures) for job in ended] == [(1, 0)] * count
    assert all(job.outages for job in ended[:2])
    events = tenant.events(jobs[0])
    reported = [event for event in events if event.data.get("reason") == Reason.DEPENDENCY_UNAVAILABLE]
    assert reported
    assert all(event.data["dependency"] == "model deployment there" and event.data["until"] for event in reported)
    return took


@pytest.mark.survive("F1")
def test_jobs_outlive_an_outage_of_their_provider_and_spend_one_attempt(
    tenant: Tenant, settings: Settings, tmp_path: Path, record_property: RecordProperty
) -> None:
    took = provoke(tenant, settings, tmp_path, seconds=6, count=6)
    record_property("figure", f"6 jobs through 6 s of 503 in {took:.1f} s, one attempt each")


@pytest.mark.slow(60)
@pytest.mark.survive("F1")
def test_many_jobs_outlive_a_long_outage(
    tenant: Tenant, settings: Settings, tmp_path: Path, record_property: RecordProperty
) -> None:
    took = provoke(tenant, settings, tmp_path, seconds=25, count=12)
    record_property("figure", f"12 jobs through 25 s of 503 in {took:.1f} s, one attempt each")


@pytest.mark.survive("F1")
def test_what_a_provider_asks_for_is_kept_and_a_deadline_says_what_it_waited_for(
    tenant: Tenant, settings: Settings, tmp_path: Path
) -> None:
    moment = format_datetime(utc_now().replace(microsecond=0) + timedelta(seconds=300), usegmt=True)

    def late(request: Recorded) -> Script:
        said = request.body["messages"][-1]["content"]
        return Failure(status=429, retry_after={"seconds": "45", "date": moment, "soon": "4"}[said])

    with ProviderSimulator(late) as provider:
        file = write_deployments(tmp_path, there=provider)
        registrar = Registrar(settings.model_copy(update={"deployments_file": file}), tenant)
        registrar.model("writer", {"deployment": "there"})
        with dispatcher(settings), worker(settings, "probe", 2, WAYBILL_DEPLOYMENTS_FILE=str(file)):
            jobs = {
                said: tenant.submit("ask", model="writer", note=said, deadline_seconds=seconds)
                for said, seconds in (("seconds", 25.0), ("date", 600.0))
            }
            wait_until(
                lambda: {tenant.job(job).reason for job in jobs.values()} == {Reason.DEPENDENCY_UNAVAILABLE},
                timeout_seconds=30,
                what="the jobs to be put back",
            )
            asked = len(provider.requests)
            waits = {said: (tenant.job(job).run_at - utc_now()).total_seconds() for said, job in jobs.items()}
            assert 35 < waits["seconds"] < 52
            assert 250 < waits["date"] < 340
            (expired,) = tenant.wait(jobs["seconds"], timeout_seconds=60)
            tenant.cancel(jobs["date"])
        assert len(provider.requests) == asked == 2
    assert (expired.state, expired.reason) == (JobState.EXPIRED, Reason.DEPENDENCY_UNAVAILABLE)
    assert expired.error is not None
    assert expired.error["dependency"] == "model deployment there"
    assert to_wire(expired)["attempt"] == 0
    assert of_job(expired).status == 503


def test_the_attempt_that_was_put_back_writes_nothing_more(tenant: Tenant, settings: Settings) -> None:
    job_id = tenant.submit()
    with attempt(settings, encode(JOB, job_id)) as driven:
        data = {"reason": Reason.DEPENDENCY_UNAVAILABLE}
        driven.context.end(RETRY, "job.queued", data, reason=Reason.DEPENDENCY_UNAVAILABLE, delay_seconds=0.0)
        with pytest.raises(LeaseLost):
            driven.context.emit("note.taken", {})
        with attempt(settings, encode(JOB, job_id)) as following:
            assert (following.context.attempt, following.context.job.attempts_spent) == (2, 1)
            with pytest.raises(LeaseLost):
                driven.context.emit("note.taken", {})
            following.succeed(said="done")
    assert tenant.job(job_id).state is JobState.SUCCEEDED
