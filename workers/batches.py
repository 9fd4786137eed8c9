"""Advances batches: reads their files, submits their lines, writes their results."""

from core.batches.intake import look_once
from core.batches.outcome import finish_once
from core.batches.service import Batches
from core.batches.submission import submit_lines
from core.batches.work import any_open
from core.files.service import FileService
from core.jobs.live import LivePublisher
from core.jobs.service import JobService, queued_event
from core.kit.blob import BlobStore
from core.kit.db import Database
from core.kit.metrics import JOBS_SUBMITTED
from core.kit.settings import Settings
from pipelines.registry import manifests


class BatchWorker:
    """Advances batches for a dispatcher. Several may run at once: each batch is held by one of them at a time."""

    def __init__(self, settings: Settings, database: Database, blobs: BlobStore, publisher: LivePublisher) -> None:
        self._settings = settings
        self._database = database
        self._blobs = blobs
        self._publisher = publisher
        self._jobs = JobService(settings, blobs)
        self._files = FileService(settings, blobs)

    def run_once(self) -> int | None:
        """One round over all open batches; returns the number of files, lines and batches that advanced.

        None when no batch is open.
        """
        if not any_open(self._database.single_system()):
            return None
        moved = look_once(self._database, self._blobs, manifests())
        done = submit_lines(self._database, self._jobs, manifests(), self._settings.batch_window)
        for job in done.made:
            JOBS_SUBMITTED.labels(job.capability).inc()
        for pool in {job.pool for job in done.made}:
            self._publisher.publish([queued_event(job) for job in done.made if job.pool == pool], hint=pool)
        return moved + done.moved + finish_once(self._database, self._blobs, Batches(self._jobs), self._files)
