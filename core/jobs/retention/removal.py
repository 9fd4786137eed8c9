"""Removes data past its retention period: payloads row by row, everything else a month at a time."""

from collections import Counter
from uuid import UUID

from sqlalchemy.exc import OperationalError

from core.audit.actions import AuditAction
from core.audit.record import Actor, record
from core.audit.retention import retire_before
from core.jobs.retention import repository
from core.jobs.retention.records import PARTITIONED, Kind, Run, default_days
from core.kit.blob import BlobStore
from core.kit.db import Database
from core.kit.ids import ORGANIZATION, encode
from core.kit.settings import Settings
from core.kit.signing import Signer

BATCH = 200
BATCHES_MAX = 250
_LOCK_NOT_AVAILABLE = "55P03"


def run_once(
    database: Database,
    blobs: BlobStore,
    settings: Settings,
    signer: Signer | None,
    *,
    batch: int = BATCH,
    batches: int = BATCHES_MAX,
) -> Run:
    """Blank payloads past their shortest period, at most `batches` of `batch` jobs; drop partitions past every period.

    Every batch and every partition has its own transaction, with an audit record, so a run can be killed anywhere and
    the next one continues. `Run.is_complete` is False when there was more to blank. Without a `signer` nothing of the
    audit trail is removed. Two runs at once share the work.
    """
    run = Run(is_complete=False)
    counts: Counter[UUID] = Counter()
    for _ in range(batches):
        blanked = _blank_batch(database, blobs, settings, batch)
        counts.update(blanked)
        if sum(blanked.values()) < batch:
            run.is_complete = True
            break
    run.blanked = dict(counts)
    for kind, parents in PARTITIONED.items():
        if kind is not Kind.AUDIT or signer is not None:
            for parent in parents:
                run.dropped += _drop_past(database, settings, kind, parent, signer)
    return run


def _blank_batch(database: Database, blobs: BlobStore, settings: Settings, most: int) -> Counter[UUID]:
    with database.system() as session:
        due = repository.due_payloads(session, default_days(settings)[Kind.PAYLOADS], most)
        # The blobs are deleted first. If the run is killed in between, the rows still show that there is something to
        # blank, and the next run finds them; in the other order, a prompt that nothing points to would stay forever.
        for each in due:
            if each.may_have_blobs:
                blobs.delete_prefix(f"jobs/{each.job_id}/")
        if due:
            repository.blank(session, [each.job_id for each in due])
        counts = Counter(each.organization_id for each in due)
        for organization_id, jobs in counts.items():
            classes = Counter(each.data_class.value for each in due if each.organization_id == organization_id)
            record(
                session,
                organization_id,
                None,
                AuditAction.RETENTION_RUN,
                subject_id=encode(ORGANIZATION, organization_id),
                actor=Actor("dispatcher"),
                detail={"kind": Kind.PAYLOADS, "jobs": jobs, "data_classes": dict(classes)},
            )
    return counts


def _drop_past(database: Database, settings: Settings, kind: Kind, parent: str, signer: Signer | None) -> list[str]:
    with database.system() as session:
        before = repository.past_every_period(session, kind, default_days(settings)[kind])
        past = [] if before is None else repository.past_partitions(session, parent, before)
    dropped = []
    for name, end in past:
        try:
            with database.system() as session:
                if kind is Kind.AUDIT and signer is not None:
                    retire_before(session, signer, end)
                if not repository.drop_partition(session, parent, name):
                    break
                if kind is Kind.JOBS:
                    repository.delete_jobs(session, end)
                for organization_id in repository.organizations(session):
                    record(
                        session,
                        organization_id,
                        None,
                        AuditAction.RETENTION_RUN,
                        subject_id=encode(ORGANIZATION, organization_id),
                        actor=Actor("dispatcher"),
                        detail={"kind": kind, "partition": name},
                    )
        except OperationalError as error:
            if getattr(error.orig, "sqlstate", None) != _LOCK_NOT_AVAILABLE:
                raise
            break  # a long transaction uses the table; the next run tries again
        dropped.append(name)
    return dropped
