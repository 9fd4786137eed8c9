"""The SQL of alerts. Every statement names the organization, except the count that the dispatcher reports."""

from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from core.jobs.repository import dump
from core.kit.db import Executor
from core.kit.ids import new_id
from core.quality.alerts.records import Alert, AlertState, Direction, NewAlert
from core.quality.signals import Signal

_INSERT = text("""
INSERT INTO quality_alerts (id, organization_id, capability, model_version, signal, direction, is_worse,
  baseline_version, baseline_mean, baseline_jobs, observed_mean, observed_jobs, evidence, threshold, began_at, job_ids)
VALUES (:id, :organization_id, :capability, :model_version, :signal, :direction, :is_worse, :baseline_version,
  :baseline_mean, :baseline_jobs, :observed_mean, :observed_jobs, :evidence, :threshold, :began_at,
  CAST(:job_ids AS uuid[]))
ON CONFLICT (organization_id, capability, signal, model_version) WHERE state <> 'closed' DO NOTHING
RETURNING id
""")
_ALERT = """
SELECT alert.id, alert.organization_id, alert.capability, alert.model_version, alert.signal, alert.direction,
  alert.is_worse, alert.state, alert.baseline_version, alert.baseline_mean, alert.baseline_jobs, alert.observed_mean,
  alert.observed_jobs, alert.evidence, alert.threshold, alert.began_at, alert.raised_at, alert.job_ids,
  alert.acknowledged_by, alert.acknowledged_at, alert.closed_by, alert.closed_at, alert.reason,
  model.name AS model_name, version.number AS model_number
FROM quality_alerts AS alert
LEFT JOIN model_versions AS version ON typeid('mver', version.id) = alert.model_version
LEFT JOIN models AS model ON model.id = version.model_id
WHERE alert.organization_id = :organization_id
"""
_GET = text(f"{_ALERT} AND alert.id = :id")
_LIST = text(
    f"{_ALERT} AND (CAST(:state AS text) IS NULL OR alert.state = CAST(:state AS text))"
    " AND (CAST(:capabilities AS text[]) IS NULL OR alert.capability = ANY(CAST(:capabilities AS text[])))"
    " AND (CAST(:cursor AS uuid) IS NULL OR alert.id < CAST(:cursor AS uuid)) ORDER BY alert.id DESC LIMIT :limit"
)
_ACKNOWLEDGE = text("""
UPDATE quality_alerts SET state = 'acknowledged', acknowledged_at = now(), acknowledged_by = :actor
WHERE id = :id AND organization_id = :organization_id AND state = 'open' RETURNING id
""")
_CLOSE = text("""
UPDATE quality_alerts SET state = 'closed', closed_at = now(), closed_by = :actor, reason = :reason
WHERE id = :id AND organization_id = :organization_id AND state <> 'closed' RETURNING id
""")
_RESTART = text("""
UPDATE quality_streams SET state = CAST(:state AS jsonb)
WHERE organization_id = :organization_id AND capability = :capability AND signal = :signal
  AND model_version = :model_version
""")
# Of the whole installation: for a gauge, with bounded labels.
_OPEN = text(
    "SELECT capability, signal, count(*) AS alerts FROM quality_alerts WHERE state = 'open' GROUP BY capability, signal"
)


def insert(session: Session, new: NewAlert) -> UUID | None:
    """Write an alert; None when its stream has an unclosed one."""
    values = {
        "id": new_id(),
        "organization_id": new.organization_id,
        "capability": new.capability,
        "model_version": new.model_version,
        "signal": new.signal.value,
        "direction": new.direction.value,
        "is_worse": new.is_worse,
        "baseline_version": new.baseline_version,
        "baseline_mean": new.baseline_mean,
        "baseline_jobs": new.baseline_jobs,
        "observed_mean": new.observed_mean,
        "observed_jobs": new.observed_jobs,
        "evidence": new.evidence,
        "threshold": new.threshold,
        "began_at": new.began_at,
        "job_ids": list(new.job_ids),
    }
    made: UUID | None = session.execute(_INSERT, values).scalar_one_or_none()
    return made


def get(session: Executor, organization_id: UUID, alert_id: UUID) -> Alert | None:
    """The organization's alert."""
    row = session.execute(_GET, {"organization_id": organization_id, "id": alert_id}).one_or_none()
    return None if row is None else _to_alert(row)


def list_alerts(
    session: Executor,
    organization_id: UUID,
    *,
    state: AlertState | None,
    capabilities: list[str] | None,
    cursor: UUID | None,
    limit: int,
) -> list[Alert]:
    """The organization's alerts, newest first, with ids below `cursor`; about these `capabilities`, or all if None."""
    parameters = {
        "organization_id": organization_id,
        "state": state,
        "capabilities": capabilities,
        "cursor": cursor,
        "limit": limit,
    }
    return [_to_alert(row) for row in session.execute(_LIST, parameters)]


def acknowledge(session: Session, organization_id: UUID, alert_id: UUID, actor: str | None) -> bool:
    """Acknowledge an alert; False when it was not open."""
    values = {"organization_id": organization_id, "id": alert_id, "actor": actor}
    return session.execute(_ACKNOWLEDGE, values).one_or_none() is not None


def close(session: Session, organization_id: UUID, alert_id: UUID, actor: str | None, reason: str | None) -> bool:
    """Close an alert; False when it was already closed."""
    values = {"organization_id": organization_id, "id": alert_id, "actor": actor, "reason": reason}
    return session.execute(_CLOSE, values).one_or_none() is not None


def restart_stream(session: Session, alert: Alert, state: dict[str, Any]) -> None:
    """Replace the state of the alert's stream."""
    session.execute(
        _RESTART,
        {
            "organization_id": alert.organization_id,
            "capability": alert.capability,
            "signal": alert.signal.value,
            "model_version": alert.model_version,
            "state": dump(state),
        },
    )


def count_open(session: Session) -> list[tuple[str, str, int]]:
    """Capability, signal and number of open alerts, over all organizations. Needs `Database.system`."""
    return [(row.capability, row.signal, row.alerts) for row in session.execute(_OPEN)]


def _to_alert(row: Row[Any]) -> Alert:
    values = row._asdict()
    values["signal"], values["direction"] = Signal(row.signal), Direction(row.direction)
    values["state"] = AlertState(row.state)
    return Alert(**values)
