"""Periodic tasks without urgency: sealing, exporting, checking, and deleting data past its retention period.

They run in the dispatcher's process, on their own threads, so that a large batch never delays dispatching. Several
dispatchers may run them at once: each task excludes its other instances by a lock in Postgres, or shares the work.
"""

import random
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from time import monotonic
from uuid import UUID

from sqlalchemy import text

from core.audit import repository, verification
from core.audit.anchors import read_anchors
from core.audit.export import export_once
from core.audit.sealer import SEALED_MAX, seal_once
from core.batches.retention import erase_once as erase_batches
from core.files.service import sweep as sweep_files
from core.jobs.live import LivePublisher
from core.jobs.retention.removal import run_once
from core.jobs.service import JobService
from core.kit.blob import BlobStore, open_blob_store
from core.kit.db import Database, is_unavailable
from core.kit.ids import EXPERIMENT, encode
from core.kit.logging import get_logger
from core.kit.metrics import INVARIANT_VIOLATIONS, TASK_DURATION
from core.kit.settings import Settings
from core.kit.signing import Keyring, Signer
from core.ledger.invariants import check_invariants
from core.registry.experiments.guard import EVERY_SECONDS as GUARD_SECONDS
from core.registry.experiments.guard import guard_once
from core.rollups import collect
from workers import shadows
from workers.batches import BatchWorker
from workers.quality import QualityCollector

_SEAL_SECONDS = 1.0
_EXPORT_SECONDS = 60.0
_SHADOW_SECONDS = 2.0
_BATCH_SECONDS = 0.5
_BATCH_IDLE_SECONDS = 2.0
_ROLLUP_SECONDS = 5.0
_BACKLOG_SECONDS = 15.0
_PARTITION_SECONDS = 3600.0
_QUALITY_SECONDS = 2.0
_IDLE_SECONDS = 1.0
_VERIFIED_AT_ONCE = 50_000
# Spreads the work of dispatchers that start together.
_SPREAD = 0.1
# The checks read the whole ledger, and nothing waits for them.
_PATIENT = text("SET LOCAL statement_timeout = '10min'")
_log = get_logger(__name__)


@dataclass(slots=True)
class _PeriodicTask:
    name: str
    every_seconds: float
    do: Callable[[], None]
    due: float


class Maintenance:
    """The periodic tasks of a dispatcher, apart from dispatching."""

    def __init__(self, settings: Settings, database: Database, signer: Signer | None, publisher: LivePublisher) -> None:
        self._settings = settings
        self._publisher = publisher
        self._database = database
        self._signer = signer
        self._blobs: BlobStore | None = None
        # The seal up to which each organization's trail was verified; after the end of a trail it starts over.
        self._verified: dict[UUID, int] = {}
        self._violations = 0
        # Findings in each organization's trail: of the last complete pass, and of the current one so far.
        self._broken_before: dict[UUID, int] = {}
        self._broken_now: dict[UUID, int] = {}

    def seal_forever(self, stop: threading.Event) -> None:
        """Seal the records in the audit trail's inbox, every second, until `stop`."""
        if self._signer is None:
            _log.warning("audit_not_sealed", remedy="set WAYBILL_SIGNING_KEY to the output of: openssl rand -base64 32")
            return
        while not stop.is_set():
            sealed = 0
            try:
                with _timed("sealing"):
                    sealed = seal_once(self._database, self._signer)
            except Exception as error:  # noqa: BLE001 - whatever one batch died of, the next one must come
                _log_failure("sealing", error)
            stop.wait(_SEAL_SECONDS if sealed < SEALED_MAX else 0.0)

    def guard_forever(self, stop: threading.Event) -> None:
        """Evaluate and guard the running experiments, every few seconds, until `stop`.

        Separate from the other tasks: a bad version must not wait until the whole ledger has been read.
        """
        while not stop.wait(GUARD_SECONDS):
            try:
                with _timed("experiments"):
                    self.guard_experiments()
            except Exception as error:  # noqa: BLE001 - the next look must come
                _log_failure("experiments", error)

    def shadow_forever(self, stop: threading.Event) -> None:
        """Start the due shadow runs, until `stop`."""
        while not stop.wait(_SHADOW_SECONDS):
            try:
                with _timed("shadows"):
                    while shadows.run_once(self._database, JobService(self._settings, self._open_blobs())):
                        if stop.is_set():
                            break
            except Exception as error:  # noqa: BLE001 - the next round must come
                _log_failure("shadows", error)

    def batch_forever(self, stop: threading.Event) -> None:
        """Advance batches, until `stop`."""
        batch_worker: BatchWorker | None = None
        pause = _BATCH_SECONDS
        while not stop.is_set():
            moved: int | None = 0
            try:
                batch_worker = batch_worker or BatchWorker(
                    self._settings, self._database, self._open_blobs(), self._publisher
                )
                with _timed("batches"):
                    moved = batch_worker.run_once()
            except Exception as error:  # noqa: BLE001 - the next round must come
                _log_failure("batches", error)
            # A batch that is made while none is open may wait a little.
            pause = min(2 * pause, _BATCH_IDLE_SECONDS) if moved is None else _BATCH_SECONDS
            stop.wait(0.0 if moved else pause)

    def roll_up_forever(self, stop: threading.Event) -> None:
        """Add up ended jobs (`core.rollups`), every few seconds, until `stop`."""
        backlog_due = partitions_due = monotonic()
        while not stop.is_set():
            added = 0
            try:
                if monotonic() >= partitions_due:
                    collect.maintain_partitions(self._database)
                    partitions_due = monotonic() + _PARTITION_SECONDS
                with _timed("rollups"):
                    added = collect.collect_once(self._database)
                if monotonic() >= backlog_due:
                    collect.count_backlog(self._database)
                    backlog_due = monotonic() + _BACKLOG_SECONDS
            except Exception as error:  # noqa: BLE001 - the next round must come
                _log_failure("rollups", error)
            stop.wait(0.0 if added >= collect.JOBS_AT_ONCE else _ROLLUP_SECONDS)

    def watch_quality_forever(self, stop: threading.Event) -> None:
        """Collect signals of jobs that have ended, and look for versions whose quality got worse, until `stop`."""
        collector: QualityCollector | None = None
        while not stop.is_set():
            is_more = False
            try:
                collector = collector or QualityCollector(self._settings, self._database, self._open_blobs())
                with _timed("quality"):
                    is_more = collector.run_once()
            except Exception as error:  # noqa: BLE001 - the next round must come
                _log_failure("quality", error)
            stop.wait(0.0 if is_more else _QUALITY_SECONDS)

    def run_tasks_forever(self, stop: threading.Event) -> None:
        """Run every other task when it is due, one after the other, until `stop`."""
        settings = self._settings
        intervals = {
            "export": (_EXPORT_SECONDS, self.export),
            "verification": (settings.invariant_interval_seconds, self.verify),
            "invariants": (settings.invariant_interval_seconds, self.check),
            "retention": (settings.retention_interval_seconds, self.remove),
        }
        began = monotonic()
        tasks = [
            _PeriodicTask(name, seconds, do, began + min(seconds, _EXPORT_SECONDS) * random.uniform(1 - _SPREAD, 1))  # noqa: S311 - not a secret
            for name, (seconds, do) in intervals.items()
        ]
        while not stop.wait(min(_IDLE_SECONDS, *(task.every_seconds for task in tasks))):
            for task in tasks:
                if monotonic() < task.due or stop.is_set():
                    continue
                try:
                    with _timed(task.name):
                        task.do()
                except Exception as error:  # noqa: BLE001 - the other tasks, and the next round, must come
                    _log_failure(task.name, error)
                task.due = monotonic() + task.every_seconds

    def export(self) -> None:
        """Write seals not exported yet to the blob store, with the anchors that reveal a truncated tail."""
        if self._signer is not None:
            while export_once(self._database, self._open_blobs()):
                pass

    def check(self) -> None:
        """Check the invariants of money; each violation is logged as an error and counted in the metrics."""
        with self._database.system() as session:
            session.execute(_PATIENT)
            violations = check_invariants(session)
        self._violations = len(violations)
        self._report_violations()
        for violation in violations:
            _log.error(
                "invariant_violated",
                invariant=violation.invariant,
                # For SQL, as the runbook describes: a balance has no id outside the database.
                subject=str(violation.subject),
                job_id=None if violation.is_of_balance else violation.subject,
                expected=str(violation.expected),
                found=str(violation.found),
                runbook="docs/runbooks/invariant-violated.md",
            )

    def verify(self, max_records: int = _VERIFIED_AT_ONCE) -> None:
        """Verify the next part of every organization's audit trail; each finding is logged as an error and counted.

        Each run does a bounded amount of work, so that a trail of any length is read repeatedly, from its first seal to
        its last. A finding counts until a complete pass no longer has it.
        """
        if self._signer is None:
            return
        keyring, blobs = Keyring.from_settings(self._settings), self._open_blobs()
        with self._database.system() as session:
            organizations = repository.organizations(session)
        for organization_id in organizations:
            after = self._verified.get(organization_id, 0)
            anchors = () if after else read_anchors(blobs, organization_id)
            with self._database.system() as session:
                session.execute(_PATIENT)
                report = verification.verify(
                    session,
                    organization_id,
                    keyring,
                    anchors=anchors,
                    after_seal=after,
                    max_records=max_records,
                )
            found = len(report.findings) + (self._broken_now.get(organization_id, 0) if after else 0)
            self._verified[organization_id] = report.next_after_seal or 0
            self._broken_now[organization_id] = found
            if report.next_after_seal is None:
                self._broken_before[organization_id] = found
            for finding in report.findings:
                _log.error("audit_trail_broken", organization_id=str(organization_id), **finding.as_json())
        self._report_violations()

    def _report_violations(self) -> None:
        INVARIANT_VIOLATIONS.set(self._violations + self._broken())

    def _broken(self) -> int:
        organizations = {*self._broken_before, *self._broken_now}
        return sum(max(self._broken_before.get(each, 0), self._broken_now.get(each, 0)) for each in organizations)

    def guard_experiments(self) -> None:
        """Carry out the decisions about running experiments: ramp up, pause, promote, roll back."""
        with self._database.system() as session:
            acted = guard_once(session)
        for each in acted:
            _log.info(
                "experiment_decided",
                experiment_id=encode(EXPERIMENT, each.experiment.id),
                organization_id=str(each.experiment.organization_id),
                action=each.decision.action.value,
                reason=each.decision.reason,
            )

    def remove(self) -> None:
        """Delete data past its retention period."""
        while sweep_files(self._database, self._open_blobs()):
            pass
        run = run_once(self._database, self._open_blobs(), self._settings, self._signer)
        batches = 0
        while (erased := erase_batches(self._database, self._open_blobs(), self._settings)) > 0:
            batches += erased
        if batches:
            _log.info("batches_erased", count=batches)
        if run.blanked or run.dropped:
            _log.info("retention_ran", jobs_blanked=sum(run.blanked.values()), partitions_dropped=run.dropped)

    def _open_blobs(self) -> BlobStore:
        if self._blobs is None:
            self._blobs = open_blob_store(self._settings)
        return self._blobs


@contextmanager
def _timed(task: str) -> Iterator[None]:
    """Record how long a task took and how it ended."""
    began, outcome = monotonic(), "succeeded"
    try:
        yield
    except Exception as error:
        outcome = "postgres_unavailable" if is_unavailable(error) else "failed"
        raise
    finally:
        TASK_DURATION.labels(task, outcome).observe(monotonic() - began)


def _log_failure(what: str, error: Exception) -> None:
    if is_unavailable(error):
        _log.warning("maintenance_waits_for_postgres", task=what, error=type(error).__name__)
    else:
        _log.exception("maintenance_failed", task=what)
