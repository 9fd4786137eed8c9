"""Actions on alerts. Everything here adds to the caller's transaction; only the edge commits."""

from uuid import UUID

from sqlalchemy.orm import Session

from core.audit.actions import AuditAction
from core.audit.record import record
from core.keys.principal import Principal
from core.kit.db import Executor
from core.kit.errors import Conflict, NotFound
from core.kit.ids import QUALITY_ALERT, encode
from core.quality import streams
from core.quality.alerts import repository
from core.quality.alerts.records import Alert, AlertState
from core.quality.signals import Signal
from core.quality.statistics.stream import Stream
from core.quality.streams import Key

REASON_MAX = 1000


class AlertNotFound(NotFound):
    """There is no such alert in the organization, or none about a capability that the caller may see."""

    default_code = "quality_alert_not_found"


class AlertClosed(Conflict):
    """The alert is closed, or was acknowledged before."""

    default_code = "quality_alert_not_open"


def get(session: Executor, principal: Principal, alert_id: UUID) -> Alert:
    """One alert. Raises `AlertNotFound`."""
    found = repository.get(session, principal.organization_id, alert_id)
    if found is None or not principal.may_use(found.capability):
        raise AlertNotFound(f"there is no quality alert {encode(QUALITY_ALERT, alert_id)} in this organization")
    return found


def list_alerts(
    session: Executor, principal: Principal, *, state: AlertState | None, cursor: UUID | None, limit: int
) -> list[Alert]:
    """Alerts about the capabilities that the caller may see, newest first."""
    capabilities = None if principal.capabilities is None else sorted(principal.capabilities)
    return repository.list_alerts(
        session, principal.organization_id, state=state, capabilities=capabilities, cursor=cursor, limit=limit
    )


def acknowledge(session: Session, principal: Principal, alert_id: UUID) -> Alert:
    """Acknowledge an alert: it is no longer counted as open. Raises `AlertNotFound` and `AlertClosed`."""
    found = get(session, principal, alert_id)
    if not repository.acknowledge(session, principal.organization_id, alert_id, principal.actor_id):
        raise AlertClosed(f"this alert is {found.state}; only an open one can be acknowledged")
    _record(session, principal, AuditAction.QUALITY_ACKNOWLEDGE, found, {})
    return get(session, principal, alert_id)


def close(session: Session, principal: Principal, alert_id: UUID, *, reason: str | None, is_new_normal: bool) -> Alert:
    """Close an alert; its stream is watched again with the same baseline, or a new one with `is_new_normal`.

    A new baseline is learned from later jobs; until there are enough of them, the stream raises nothing. Raises
    `AlertNotFound` and `AlertClosed`.
    """
    found = get(session, principal, alert_id)
    if not repository.close(session, principal.organization_id, alert_id, principal.actor_id, reason):
        raise AlertClosed("this alert is closed")
    if is_new_normal:
        _restart(session, found)
    _record(session, principal, AuditAction.QUALITY_CLOSE, found, {"is_new_normal": is_new_normal})
    return get(session, principal, alert_id)


def _restart(session: Session, alert: Alert) -> None:
    key = Key(alert.organization_id, alert.capability, alert.signal, alert.model_version)
    state = streams.load(session, [key]).get(key)
    if state is None:
        return
    if alert.signal is Signal.INPUT_WORDS:
        # The reference starts with the first input that the alert was about.
        state = {"since": alert.began_at.isoformat(), "jobs": alert.observed_jobs, "tested": 0}
    else:
        stream = Stream.from_json(state)
        stream.restart()
        state = stream.as_json()
    repository.restart_stream(session, alert, state)


def _record(session: Session, principal: Principal, action: AuditAction, alert: Alert, facts: dict[str, bool]) -> None:
    record(
        session,
        principal.organization_id,
        None,
        action,
        subject_id=encode(QUALITY_ALERT, alert.id),
        actor=principal.actor,
        detail={"capability": alert.capability, "signal": alert.signal.value, **facts},
    )
