"""The dispatcher's tasks for quality: collects signals of jobs that have ended, and reports open alerts."""

from time import monotonic

from core.jobs.service import PayloadStore
from core.kit.blob import BlobStore
from core.kit.db import Database
from core.kit.ids import JOB, QUALITY_ALERT, encode
from core.kit.logging import get_logger
from core.kit.metrics import QUALITY_ALERTS_OPEN
from core.kit.settings import Settings
from core.quality.alerts import repository as alerts
from core.quality.collection import collect_once

_REPORT_SECONDS = 15.0
_log = get_logger(__name__)


class QualityCollector:
    """Collects in rounds. Several dispatchers may run it; one of them works at a time."""

    def __init__(self, settings: Settings, database: Database, blobs: BlobStore) -> None:
        self._database = database
        self._payloads = PayloadStore(settings, blobs)
        self._seen: set[tuple[str, str]] = set()
        self._report_due = 0.0

    def run_once(self) -> bool:
        """One round; returns whether there may be more at once. Reports open alerts every fifteen seconds."""
        collected = collect_once(self._database, self._payloads)
        for raised in collected.raised:
            alert = raised.alert
            _log.warning(
                "quality_alert_raised",
                alert_id=encode(QUALITY_ALERT, raised.id),
                organization_id=str(alert.organization_id),
                capability=alert.capability,
                model_version=alert.model_version,
                signal=alert.signal.value,
                direction=alert.direction.value,
                cases=[encode(JOB, job_id) for job_id in alert.job_ids],
                runbook="docs/runbooks/quality-dropped.md",
            )
        if collected.raised or monotonic() >= self._report_due:
            self.report()
            self._report_due = monotonic() + _REPORT_SECONDS
        return collected.is_more

    def report(self) -> None:
        """Set the gauge of open alerts; series reported before and missing now are set to zero."""
        with self._database.system() as session:
            counted = alerts.count_open(session)
        missing = self._seen - {(capability, signal) for capability, signal, _ in counted}
        for capability, signal, count in counted:
            self._seen.add((capability, signal))
            QUALITY_ALERTS_OPEN.labels(capability, signal).set(count)
        for labels in missing:
            QUALITY_ALERTS_OPEN.labels(*labels).set(0)
