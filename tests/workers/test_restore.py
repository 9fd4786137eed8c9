"""The drill: a backup under load, the loss of everything, a restore into nothing, and every job ends once."""

import json
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from core.jobs.states import JobState
from core.kit.settings import Settings
from core.ledger.invariants import check_invariants
from tests.factories.backups import backup_command, command_line, empty_installation
from tests.factories.jobs import Tenant, final_events, tenant_of
from tests.factories.processes import Process, settings_of, start
from tests.factories.waiting import wait_until
from tests.factories.webhook_receiver import WebhookReceiver
from tests.factories.webhooks import LOOPBACK, new_hooks

pytestmark = [pytest.mark.heavy, pytest.mark.xdist_group("logins"), pytest.mark.timeout(300)]

SHORT_JOBS = 80


@dataclass
class Drill:
    """What was done before the loss, and what clients had seen by then."""

    marker: Path
    receiver: WebhookReceiver
    ended: list[UUID]
    endless: UUID
    report: dict[str, Any]
    seen: dict[UUID, int]
    seen_position: int
    started: Counter[UUID]
    received: Counter[str]


def starts(marker: Path) -> Counter[UUID]:
    """How often each job was started."""
    lines = marker.read_text(encoding="utf-8").splitlines()
    return Counter(UUID(line.split()[0]) for line in lines)


def one(tenant: Tenant, query: str, **given: Any) -> Any:
    """A figure from the database."""
    with tenant.database.system() as session:
        return session.execute(text(query), given).scalar_one()


@contextmanager
def processes(settings: Settings) -> Iterator[list[Process]]:
    """The installation's own, until all are lost at once."""
    assert settings.signing_key is not None
    signing = {"WAYBILL_SIGNING_KEY": settings.signing_key.get_secret_value()}
    allowed = {"WAYBILL_WEBHOOK_ALLOWED_NETWORKS": '["127.0.0.0/8"]'}
    parts = [
        start(settings, "workers", "worker", "probe", "2"),
        start(settings, "workers", "worker", "probe", "2"),
        start(settings, "workers", "dispatcher", **signing),
        start(settings, "workers", "deliverer", **allowed),
    ]
    try:
        for part, ready in zip(parts, ["worker_ready"] * 2 + ['"pool":"probe"', "deliverer_started"], strict=True):
            part.wait_for(ready)
        yield parts
    finally:
        for part in parts:
            part.kill()


@pytest.fixture
def drill(settings: Settings, tenant: Tenant, tmp_path: Path) -> Iterator[Drill]:
    """A backup taken while short jobs and a long one run, and the loss of what they ran on."""
    marker = tmp_path / "starts"
    with WebhookReceiver() as receiver:
        new_hooks(settings_of(settings, **LOOPBACK), tenant).add(receiver.url, "job.succeeded")
        with processes(settings) as parts:
            ended = [
                tenant.submit("spend", used_tokens=7, marker=str(marker)),
                tenant.submit("large", marker=str(marker), note="n" * 100_000),
            ]
            tenant.wait()
            assert command_line(settings)("audit", "export").exit_code == 0
            wait_until(lambda: len(receiver.received) == 2, timeout_seconds=60, what="the first webhooks")
            endless = tenant.submit("sleep", seconds=600, until_attempt=1, marker=str(marker))
            tenant.wait_for_state(endless, JobState.RUNNING)
            for number in range(SHORT_JOBS):
                # Every other one is in the middle of a model call, which has money set aside.
                act = {"act": "spend", "used_tokens": 7} if number % 2 else {"act": "sleep"}
                tenant.submit(**act, seconds=0.3, marker=str(marker), note="x" * 70_000)
            wait_until(lambda: len(starts(marker)) > 10, timeout_seconds=60, what="short jobs to run")
            taken = backup_command(settings)("backup", str(tmp_path / "backup"), "--json")
            assert taken.exit_code == 0, taken.stderr
            # What is lost works on after the backup, and loses its workers first: its streams run ahead of what will be
            # restored.
            for worker in parts[:2]:
                worker.kill()
            parts.append(start(settings, "workers", "worker", "probe", "2"))
            later = tenant.submit(marker=str(marker))
            tenant.wait(later, endless, timeout_seconds=120)
        tenant.submitted.remove(later)
        yield Drill(
            marker,
            receiver,
            ended,
            endless,
            json.loads(taken.stdout),
            {job_id: tenant.events(job_id)[-1].id for job_id in tenant.submitted},
            one(tenant, "SELECT max(position) FROM job_events"),
            starts(marker),
            Counter(each.id for each in receiver.received),
        )


@pytest.mark.survive("D1")
def test_jobs_under_way_end_once_after_a_restore_into_an_empty_installation(
    settings: Settings, tenant: Tenant, drill: Drill, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    with empty_installation(settings, tmp_path / "new") as empty:
        result = command_line(empty)("restore", str(tmp_path / "backup"), "--json")
        assert result.exit_code == 0, result.stderr + result.stdout
        report = json.loads(result.stdout)
        assert report["findings"] == []
        assert report["jobs_requeued"] >= 1
        assert report["audit_records"] > 0
        record_property(
            "figure",
            f"backup of {sum(drill.report['rows'].values())} rows and {drill.report['blobs']['count']} blobs"
            f" in {drill.report['seconds']} s, restored and verified in {report['seconds']} s",
        )

        restored = tenant_of(empty, tenant.principal)
        restored.submitted = tenant.submitted
        under_way = {job_id for job_id in restored.submitted if restored.job(job_id).finished_at is None}
        assert drill.endless in under_way
        assert under_way.isdisjoint(drill.ended)
        delivered = set(
            one(restored, "SELECT array_agg(typeid('msg', id)) FROM webhook_deliveries WHERE finished_at > 'epoch'")
        )
        with processes(empty):
            jobs = restored.wait(timeout_seconds=120)
            pending = "SELECT count(*) FROM webhook_deliveries WHERE state = 'pending'"
            wait_until(lambda: one(restored, pending) == 0, timeout_seconds=60, what="the webhooks")
            calls = "SELECT count(*) FROM open_calls"
            wait_until(lambda: one(restored, calls) == 0, timeout_seconds=60, what="calls of the lost to be settled")
        assert {(job.state, job.failures) for job in jobs} == {(JobState.SUCCEEDED, 0)}
        assert starts(drill.marker) - drill.started == Counter(dict.fromkeys(under_way, 1))
        assert restored.job(drill.endless).attempt == 2
        assert len((restored.result(drill.ended[1]) or {})["said"]) == 200_000
        for job_id in restored.submitted:
            events = restored.events(job_id)
            assert sum(final_events(events).values()) == 1
            # Clients that resume a stream where what is lost had brought them miss nothing: all that is new is above.
            assert job_id not in under_way or events[-1].id > drill.seen[job_id]
        new = "SELECT min(position) FROM job_events WHERE job_id = ANY(:ids) AND type = 'job.succeeded'"
        assert one(restored, new, ids=list(under_way)) > drill.seen_position
        sent_again = Counter(each.id for each in drill.receiver.received) - drill.received
        assert delivered
        assert delivered.isdisjoint(sent_again)

        assert command_line(empty)("audit", "seal").exit_code == 0
        verified = command_line(empty)("audit", "verify")
        assert verified.exit_code == 0, verified.stdout
        with restored.database.system() as session:
            assert check_invariants(session) == []
        again = command_line(empty)("backup", str(tmp_path / "again"))
        assert again.exit_code == 0, again.stderr
        restored.close()
