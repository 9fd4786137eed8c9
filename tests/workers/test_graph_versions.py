"""Which version of a graph an attempt runs, over the real checkpoint tables."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

import pytest
from pydantic import BaseModel
from sqlalchemy import text

from core.capability import JobContext, JobSuspended, Manifest, Runner, StoredCheckpoint
from core.kit.errors import CapabilityFailure
from core.kit.ids import JOB, encode
from core.kit.settings import Settings
from tests.factories.attempts import Attempt, attempt
from tests.factories.jobs import Tenant
from workers.context import AttemptContext
from workers.graph_versions import choose_runner, unknown_capability

pytestmark = pytest.mark.own_database


class Nothing(BaseModel):
    pass


def manifest(version: int, **declared: Any) -> Manifest:
    return Manifest(
        id="probe.versions",
        version="1",
        title="t",
        description="d",
        input=Nothing,
        output=Nothing,
        entry=f"{__name__}:build",
        graph_version=version,
        **declared,
    )


class Named:
    """A runner that knows its version."""

    def __init__(self, version: int) -> None:
        self.version = version

    def run(self, ctx: JobContext, payload: Nothing) -> Nothing:
        ctx.check()
        return payload

    def migrate(self, migration: Any, old: Any, new: Any) -> None:
        migration(old, new)


def load(_: Manifest, version: int) -> Runner:
    return Named(version)


def chosen(manifest: Manifest, ctx: AttemptContext) -> int:
    runner = choose_runner(load, manifest, ctx)
    assert isinstance(runner, Named)
    return runner.version


def keep(ctx: AttemptContext, name: str, **state: Any) -> None:
    ctx.checkpoints().save(StoredCheckpoint("", name, None, "json", b"{}", state))


def kept(ctx: AttemptContext) -> dict[str, Mapping[str, Any]]:
    return {found.id: found.metadata for found in ctx.checkpoints().list(None, None, None)}


def begin(settings: Settings, tenant: Tenant, version: int) -> UUID:
    """A job whose first attempt kept something under that version, and ended."""
    job_id = tenant.submit()
    with attempt(settings, encode(JOB, job_id)) as first:
        assert chosen(manifest(version), first.context) == version
        keep(first.context, "1", step=1)
        first.requeue()
    return job_id


def again(settings: Settings, job_id: UUID) -> Any:
    return attempt(settings, encode(JOB, job_id))


def refused(manifest: Manifest, driven: Attempt) -> CapabilityFailure:
    with pytest.raises(CapabilityFailure) as failure:
        choose_runner(load, manifest, driven.context)
    assert failure.value.outage is not None
    driven.requeue()
    return failure.value


def test_a_job_resumes_on_the_version_that_its_checkpoints_name(settings: Settings, tenant: Tenant) -> None:
    job_id = begin(settings, tenant, 2)
    with again(settings, job_id) as driven:
        assert chosen(manifest(2), driven.context) == 2
        assert kept(driven.context) == {"1": {"step": 1, "graph_version": 2}}
        driven.requeue()
    with again(settings, job_id) as driven:
        assert chosen(manifest(4, earlier_graphs={2: "x:y"}), driven.context) == 2
        assert list(kept(driven.context)) == ["1"]
        driven.requeue()
    # A job that has kept nothing begins with whatever is there.
    fresh = tenant.submit()
    with again(settings, fresh) as driven:
        driven.requeue()
    with again(settings, fresh) as driven:
        assert chosen(manifest(4), driven.context) == 4


@pytest.mark.parametrize("version", [1, 3], ids=["of a release before", "of a release after"])
def test_a_job_of_a_version_that_is_not_here_waits_and_says_for_what(
    settings: Settings, tenant: Tenant, version: int
) -> None:
    job_id = begin(settings, tenant, version)
    with again(settings, job_id) as driven:
        failure = refused(manifest(2), driven)
    assert failure.code == "graph_version_missing"
    assert failure.detail == f"The job began with graph version {version} of probe.versions, and this worker has 2"
    assert failure.outage is not None
    assert failure.outage.dependency == f"release with graph version {version} of probe.versions"
    with again(settings, job_id) as driven:
        assert chosen(manifest(version), driven.context) == version


def test_checkpoints_of_before_versions_are_of_the_first(settings: Settings, tenant: Tenant) -> None:
    job_id = begin(settings, tenant, 5)
    with tenant.database.system() as session:
        session.execute(text("UPDATE job_checkpoints SET metadata = '{}' WHERE job_id = :id"), {"id": job_id})
    with again(settings, job_id) as driven:
        refused(manifest(5), driven)
    with again(settings, job_id) as driven:
        assert chosen(manifest(1), driven.context) == 1
        assert kept(driven.context) == {"1": {}}


def test_a_job_is_migrated_once_and_then_belongs_to_the_new_version(settings: Settings, tenant: Tenant) -> None:
    job_id = begin(settings, tenant, 1)
    migrating = manifest(3, migrations={1: f"{__name__}:carry"})
    with again(settings, job_id) as driven:
        assert chosen(migrating, driven.context) == 3
        assert kept(driven.context) == {"0": {"step": "carried", "graph_version": 3}}
        driven.requeue()
    with again(settings, job_id) as driven:
        refused(manifest(1), driven)
    with again(settings, job_id) as driven:
        # No migration any more: there is nothing left to migrate.
        assert chosen(manifest(3), driven.context) == 3
        # Ids are of the clocks of machines: what is the newest is only asked within a version.
        assert kept(driven.context) == {"0": {"step": "carried", "graph_version": 3}}


def carry(old: Any, new: Any) -> None:
    found = old.load("")
    assert found.metadata["step"] == 1
    new.save(StoredCheckpoint("", "0", None, "json", b"{}", {"step": "carried"}))


@pytest.mark.parametrize("name", ["broken", "not_there"])
def test_a_migration_that_fails_leaves_the_job_to_a_better_release(
    settings: Settings, tenant: Tenant, name: str
) -> None:
    job_id = begin(settings, tenant, 1)
    with again(settings, job_id) as driven:
        failure = refused(manifest(2, migrations={1: f"{__name__}:{name}"}), driven)
    assert failure.code == "graph_migration_failed"
    with again(settings, job_id) as driven:
        assert chosen(manifest(1), driven.context) == 1
        assert list(kept(driven.context)) == ["1"]


def broken(old: Any, new: Any) -> None:
    raise KeyError(old.load("").id)


def test_who_asks_without_a_checkpoint_names_its_version_too(settings: Settings, tenant: Tenant) -> None:
    job_id = tenant.submit()
    with again(settings, job_id) as driven:
        choose_runner(load, manifest(2), driven.context)
        with pytest.raises(JobSuspended):
            driven.context.ask("well", "Well?", {"type": "object"})
        driven.requeue()
    with again(settings, job_id) as driven:
        refused(manifest(3), driven)
    with again(settings, job_id) as driven:
        assert chosen(manifest(3, migrations={2: f"{__name__}:nothing"}), driven.context) == 3
        assert kept(driven.context) == {}
        driven.requeue()
    with again(settings, job_id) as driven:
        refused(manifest(2), driven)
    with again(settings, job_id) as driven:
        assert chosen(manifest(3), driven.context) == 3
        driven.succeed()
    with tenant.database.system() as session:
        left = session.execute(text("SELECT count(*) FROM job_checkpoints WHERE job_id = :id"), {"id": job_id})
        assert left.scalar_one() == 0


def nothing(old: Any, _: Any) -> None:
    assert old.load("") is None


def test_waiting_for_a_release_is_asked_for_less_and_less(settings: Settings, tenant: Tenant) -> None:
    waits = []
    for outages in (0, 1, 5, 12, 90_000):
        job_id = tenant.submit()
        with tenant.database.system() as session:
            session.execute(text("UPDATE jobs SET outages = :n WHERE id = :id"), {"n": outages, "id": job_id})
        with again(settings, job_id) as driven:
            failure = unknown_capability(driven.context)
        assert failure.outage is not None
        assert failure.outage.retry_after_seconds is not None
        waits.append(round(failure.outage.retry_after_seconds, 1))
    assert waits == [2.0, 3.0, 15.2, 259.5, 300.0]


@pytest.mark.parametrize(
    "declared",
    [
        {"earlier_graphs": {1: "x:y"}, "migrations": {1: "x:z"}},
        {"earlier_graphs": {2: "x:y"}},
        {"migrations": {3: "x:y"}},
        {"migrations": {0: "x:y"}},
    ],
)
def test_versions_that_contradict_each_other_are_refused(declared: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"probe\.versions"):
        manifest(2, **declared)
