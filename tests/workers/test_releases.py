"""Three releases of a capability and a rollback, with real workers: a job is of one graph version from end to end."""

import json
import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy import text

from api.jobs.schemas import to_wire
from core.jobs.records import JobRecord
from core.jobs.states import JobState, Reason
from core.jobs.suspension import questions
from core.kit.settings import Settings
from tests.factories.jobs import Tenant, final_events
from tests.factories.processes import ROOT, Process, dispatcher, settings_of, worker
from tests.factories.waiting import wait_until

pytestmark = [pytest.mark.timeout(900), pytest.mark.heavy]
GRAPH, CREW = "probe.graph", "probe.crew"
OWN = {
    1: ["1:read", "1:act", "1:report"],
    2: ["2:read", "2:check", "2:act", "2:report"],
    3: ["3:read", "3:act", "3:review", "3:report"],
}
MIGRATED = ["1:read", "from 1", "3:act", "3:review", "3:report"]


@dataclass
class Company:
    """The jobs of a company whose operator installs one release after the other."""

    tenant: Tenant
    settings: Settings
    folder: Path
    jobs: dict[str, UUID] = field(default_factory=dict)

    def release(self, number: int) -> AbstractContextManager[Process]:
        """A worker of that release."""
        place = ROOT / "tests/factories/releases" / ("first", "second", "third")[number - 1]
        return worker(
            self.settings,
            concurrency=4,
            PYTHONPATH=f"{place}{os.pathsep}{ROOT}",
            WAYBILL_EXTRA_CAPABILITIES=json.dumps(["tests.factories.capabilities:ALL", "shipped.manifest:ALL"]),
        )

    def begin(self, name: str, *, ask: bool) -> str:
        """A graph and a crew that have begun, and wait for a person or are in the middle of a step."""
        for capability in (GRAPH, CREW):
            gate = None if ask else str(self.folder / f"{name} may go on")
            job = self.jobs[f"{name} {capability}"] = self.tenant.submit_input(capability, {"ask": ask, "gate": gate})
            if ask:
                self.tenant.wait_for_state(job, JobState.WAITING, 180)
            else:
                wait_until(partial(self.is_acting, job), timeout_seconds=180, what="the step `act`")
        return name

    def go_on(self, name: str) -> None:
        """Answer; or let the step finish when it is run again."""
        (self.folder / f"{name} may go on").touch()
        for job in self.both(name):
            if self.tenant.job(job).state is JobState.WAITING:
                with self.tenant.database.tenant(self.tenant.principal.organization_id) as session:
                    assert questions.answer(session, self.tenant.principal, job, None, {})[1]

    def both(self, name: str) -> tuple[UUID, UUID]:
        return self.jobs[f"{name} {GRAPH}"], self.jobs[f"{name} {CREW}"]

    def is_acting(self, job: UUID) -> bool:
        """Whether the step `act` has begun."""
        events = self.tenant.events(job)
        return any(event.type == "step.started" and event.data["step"].endswith(":act") for event in events)

    def held(self, jobs: tuple[UUID, ...]) -> int:
        with self.tenant.database.system() as session:
            statement = text(
                "SELECT count(*) FROM jobs WHERE id = ANY(:jobs) AND num_nonnulls(dispatched_at, worker) > 0"
            )
            return int(session.execute(statement, {"jobs": list(jobs)}).scalar_one())

    def waits_for(self, version: int, here: str, jobs: tuple[UUID, ...]) -> None:
        """Wait until the jobs say that they wait for a release that has `version`, while these workers have `here`."""
        wanted = f"graph version {version} of"
        for job in [self.put_back(each, wanted) for each in jobs]:
            assert job.error is not None
            assert job.error["code"] == "graph_version_missing"
            reported = (
                f"The job began with {wanted} {job.capability}, and this worker has {here}. Waits for the release with"
            )
            assert job.error["message"].startswith(reported)
            assert job.state is JobState.QUEUED
        wait_until(lambda: self.held(jobs) == 0, timeout_seconds=180, what="a moment at which nothing is held")

    def put_back(self, job: UUID, wanted: str) -> JobRecord:
        """The job, at a moment at which it waits for what is wanted."""
        seen: list[JobRecord] = []

        def waits() -> bool:
            seen.append(self.tenant.job(job))
            return seen[-1].reason == Reason.DEPENDENCY_UNAVAILABLE and wanted in str(seen[-1].error)

        wait_until(waits, timeout_seconds=180, what=f"a job that waits for {wanted}")
        return seen[-1]

    def ends(self, name: str, path: list[str], crew: list[str]) -> None:
        """Wait until both have ended, once, with these steps."""
        for job, expected in zip(self.both(name), (path, crew), strict=True):
            [ended] = self.tenant.wait(job, timeout_seconds=180)
            assert ended.state is JobState.SUCCEEDED, (name, ended.error)
            assert self.tenant.result(job) == {"path": expected}, name
            events = self.tenant.events(job)
            assert final_events(events) == {"job.succeeded": 1}
            # The first attempt, and one for each loss of a worker and each answer: to be put back spends none.
            resumed = [event for event in events if event.data.get("resumed")]
            lost = [event for event in events if event.data.get("reason") == Reason.WORKER_LOST]
            assert (to_wire(ended)["attempt"], ended.failures) == (1 + len(resumed) + len(lost), len(lost))
            ran = [event.data["step"] for event in events if event.type == "step.finished"]
            assert ran == [step for step in expected if ":" in step], name


@pytest.mark.survive("U1")
def test_jobs_stay_on_their_graph_version_over_three_releases_and_a_rollback(
    settings: Settings, tenant: Tenant, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    # Long enough for what a worker imports with its first job, on a machine that does other things too.
    settings = settings_of(settings, lease_seconds=6.0)
    company = Company(tenant, settings, tmp_path)
    with dispatcher(settings):
        with company.release(1) as first:
            company.begin("asked, answered during the upgrade", ask=True)
            company.begin("killed in release 1", ask=False)
            company.begin("asked in release 1", ask=True)
            with company.release(2) as second:
                # Both pools serve, as in every rollout: the old one finishes what it began.
                company.go_on("asked, answered during the upgrade")
                company.ends("asked, answered during the upgrade", OWN[1], OWN[1])
                first.kill()
                company.go_on("killed in release 1")
                company.go_on("asked in release 1")
                company.waits_for(1, "2", company.both("killed in release 1"))
                company.waits_for(1, "2", company.both("asked in release 1"))
                company.begin("killed in release 2", ask=False)
                company.begin("asked in release 2", ask=True)
                company.begin("asked in release 2, answered after the rollback", ask=True)
                second.kill()
        with company.release(3) as third:
            # By the declared migration, or by the crew of then.
            company.ends("killed in release 1", MIGRATED, OWN[1])
            company.ends("asked in release 1", MIGRATED, OWN[1])
            company.go_on("killed in release 2")
            company.go_on("asked in release 2")
            company.ends("killed in release 2", OWN[2], OWN[2])
            company.ends("asked in release 2", OWN[2], OWN[2])
            company.begin("killed in release 3", ask=False)
            company.begin("asked in release 3", ask=True)
            third.kill()
        with company.release(2):
            company.go_on("asked in release 2, answered after the rollback")
            company.ends("asked in release 2, answered after the rollback", OWN[2], OWN[2])
            company.go_on("killed in release 3")
            company.go_on("asked in release 3")
            company.waits_for(3, "2", company.both("killed in release 3"))
            company.waits_for(3, "2", company.both("asked in release 3"))
        with company.release(3):
            company.ends("killed in release 3", OWN[3], OWN[3])
            company.ends("asked in release 3", OWN[3], OWN[3])
    assert tenant.open_jobs(tenant.submitted) == 0
    back = sum(tenant.job(job).outages for job in tenant.submitted)
    record_property("figure", f"{len(tenant.submitted)} jobs over three releases and a rollback, put back {back} times")
