"""The SQL of endpoints, secrets and deliveries as a project sees them. Every statement names the project."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from core.keys.principal import Principal
from core.kit.db import Executor
from core.webhooks.records import (
    Attempt,
    Delivery,
    DeliveryFilter,
    DeliveryState,
    DisabledReason,
    Endpoint,
    EndpointChange,
    EndpointState,
    NewEndpoint,
    Secret,
)

_MINE = "organization_id = :organization_id AND project_id = :project_id"

_ENDPOINT = (
    "endpoint.id, endpoint.organization_id, endpoint.project_id, endpoint.url, endpoint.description, endpoint.events,"
    " endpoint.include_result, endpoint.state, endpoint.disabled_reason, endpoint.failing_since, endpoint.created_at,"
    " (SELECT previous_until FROM webhook_secrets WHERE owner_id = endpoint.id AND previous_until > now())"
    " AS previous_secret_until"
)
_IS_MINE = "endpoint.organization_id = :organization_id AND endpoint.project_id = :project_id"
# Two endpoints added at once would each find room for one.
_LOCK_PROJECT = text("SELECT id FROM projects WHERE organization_id = :organization_id AND id = :project_id FOR UPDATE")
_COUNT = text(f"SELECT count(*) FROM webhook_endpoints WHERE {_MINE}")
_INSERT = text("""
INSERT INTO webhook_endpoints (id, organization_id, project_id, url, description, events, include_result)
VALUES (:id, :organization_id, :project_id, :url, :description, CAST(:events AS text[]), :include_result)
""")
_GET = text(f"SELECT {_ENDPOINT} FROM webhook_endpoints AS endpoint WHERE endpoint.id = :id AND {_IS_MINE}")
_LIST = text(f"""
SELECT {_ENDPOINT} FROM webhook_endpoints AS endpoint
WHERE {_IS_MINE} AND (CAST(:before AS uuid) IS NULL OR endpoint.id < :before)
ORDER BY endpoint.id DESC LIMIT :limit
""")
_UPDATE = text(f"""
UPDATE webhook_endpoints SET url = coalesce(CAST(:url AS text), url),
  description = coalesce(CAST(:description AS text), description),
  events = coalesce(CAST(:events AS text[]), events),
  include_result = coalesce(CAST(:include_result AS boolean), include_result)
WHERE id = :id AND {_MINE} RETURNING id
""")
_SET_STATE = text(f"""
UPDATE webhook_endpoints SET state = :state, disabled_reason = NULL, failing_since = NULL, is_slow = false
WHERE id = :id AND {_MINE} RETURNING id
""")
_CANCEL_PENDING = text(f"""
UPDATE webhook_deliveries SET state = 'cancelled', is_held = false, finished_at = now(), last_error = 'endpoint_removed'
WHERE endpoint_id = :id AND {_MINE} AND state = 'pending'
""")
_DELETE = text(f"DELETE FROM webhook_endpoints WHERE id = :id AND {_MINE} RETURNING id")
_DELETE_SECRET = text(f"DELETE FROM webhook_secrets WHERE owner_id = :id AND {_MINE}")

_SECRET = text(f"""
SELECT rotated_at, CASE WHEN previous_until > now() THEN previous_until END AS previous_until
FROM webhook_secrets WHERE owner_id = :id AND {_MINE}
""")
_ROTATE = text("""
INSERT INTO webhook_secrets (owner_id, organization_id, project_id, sealed)
VALUES (:id, :organization_id, :project_id, :sealed)
ON CONFLICT (owner_id) DO UPDATE SET sealed = excluded.sealed, rotated_at = now(),
  previous = CASE WHEN CAST(:overlap_seconds AS float8) > 0 THEN webhook_secrets.sealed END,
  previous_until = CASE WHEN CAST(:overlap_seconds AS float8) > 0
    THEN now() + make_interval(secs => CAST(:overlap_seconds AS float8)) END
RETURNING rotated_at, previous_until
""")

_DELIVERY = (
    "id, organization_id, project_id, endpoint_id, url, event, job_id, state, attempts, is_held, next_attempt_at,"
    " last_status, last_error, created_at, finished_at"
)
_TEST = text(f"""
INSERT INTO webhook_deliveries (id, organization_id, project_id, endpoint_id, lane, event, body)
SELECT :delivery_id, organization_id, project_id, id, id, :event, webhook_body(:event, jsonb_build_object(
  'endpoint_id', typeid('whe', id), 'project_id', typeid('prj', project_id)))
FROM webhook_endpoints WHERE id = :id AND {_MINE}
RETURNING {_DELIVERY}
""")
_GET_DELIVERY = text(f"SELECT {_DELIVERY}, body FROM webhook_deliveries WHERE id = :id AND {_MINE}")
_LOCK_DELIVERY = text(f"SELECT {_DELIVERY}, body FROM webhook_deliveries WHERE id = :id AND {_MINE} FOR UPDATE")
_ATTEMPTS = text(f"""
SELECT number, began_at, latency_ms, status, error FROM webhook_attempts
WHERE delivery_id = :id AND {_MINE} ORDER BY number DESC LIMIT :limit
""")
_LIST_DELIVERIES = text(f"""
SELECT {_DELIVERY} FROM webhook_deliveries
WHERE {_MINE} AND (CAST(:before AS uuid) IS NULL OR id < :before)
  AND (CAST(:endpoint_id AS uuid) IS NULL OR endpoint_id = :endpoint_id)
  AND (CAST(:job_id AS uuid) IS NULL OR job_id = :job_id)
  AND (CAST(:state AS text) IS NULL OR state = :state)
  AND (CAST(:event AS text) IS NULL OR event = :event)
ORDER BY id DESC LIMIT :limit
""")
_AGAIN = (
    "UPDATE webhook_deliveries SET state = 'pending', finished_at = NULL, failures = 0, is_held = false,"
    " next_attempt_at = now()"
)
_REDELIVER = text(f"{_AGAIN} WHERE id = :id AND {_MINE} AND state <> 'pending' RETURNING {_DELIVERY}")
_REDELIVER_SINCE = text(f"""
WITH chosen AS (
  SELECT id FROM webhook_deliveries
  WHERE {_MINE} AND endpoint_id = :endpoint_id AND created_at >= :since AND body IS NOT NULL
    AND state = ANY(CAST(:states AS text[]))
    AND id >= uuid7_floor(CAST(:since AS timestamptz) - interval '1 minute')
  ORDER BY id LIMIT :most FOR UPDATE SKIP LOCKED
), again AS (
  {_AGAIN} FROM chosen WHERE webhook_deliveries.id = chosen.id RETURNING webhook_deliveries.id
)
SELECT count(*) FROM again
""")


def _scope(principal: Principal) -> dict[str, Any]:
    return {"organization_id": principal.organization_id, "project_id": principal.project_id}


def _to_endpoint(row: Row[Any]) -> Endpoint:
    reason = row.disabled_reason
    return Endpoint(
        row.id,
        row.organization_id,
        row.project_id,
        row.url,
        row.description,
        tuple(row.events),
        row.include_result,
        EndpointState(row.state),
        None if reason is None else DisabledReason(reason),
        row.failing_since,
        row.created_at,
        row.previous_secret_until,
    )


def _to_delivery(row: Row[Any]) -> Delivery:
    values = tuple(row)
    return Delivery(*values[:7], DeliveryState(values[7]), *values[8:15])  # type: ignore[call-arg]


def lock_project(session: Session, principal: Principal) -> None:
    """Keep others from adding endpoints to the project until the transaction ends."""
    session.execute(_LOCK_PROJECT, _scope(principal))


def count_endpoints(session: Session, principal: Principal) -> int:
    """The number of the project's endpoints."""
    return int(session.execute(_COUNT, _scope(principal)).scalar_one())


def insert_endpoint(session: Session, principal: Principal, endpoint_id: UUID, new: NewEndpoint) -> None:
    """Add an endpoint."""
    session.execute(
        _INSERT,
        {
            **_scope(principal),
            "id": endpoint_id,
            "url": new.url,
            "description": new.description,
            "events": list(new.events),
            "include_result": new.include_result,
        },
    )


def get_endpoint(executor: Executor, principal: Principal, endpoint_id: UUID) -> Endpoint | None:
    """The endpoint, or None when the project has no such one."""
    row = executor.execute(_GET, {**_scope(principal), "id": endpoint_id}).one_or_none()
    return None if row is None else _to_endpoint(row)


def list_endpoints(executor: Executor, principal: Principal, before: UUID | None, limit: int) -> list[Endpoint]:
    """The project's endpoints, newest first, with ids below `before`."""
    rows = executor.execute(_LIST, {**_scope(principal), "before": before, "limit": limit})
    return [_to_endpoint(row) for row in rows]


def update_endpoint(session: Session, principal: Principal, endpoint_id: UUID, change: EndpointChange) -> bool:
    """Change the fields that `change` names; False when the project has no such endpoint."""
    given = {
        "url": change.url,
        "description": change.description,
        "events": None if change.events is None else list(change.events),
        "include_result": change.include_result,
    }
    return session.execute(_UPDATE, {**_scope(principal), "id": endpoint_id, **given}).one_or_none() is not None


def set_state(session: Session, principal: Principal, endpoint_id: UUID, state: EndpointState) -> None:
    """Pause or resume; both reset the record of failures."""
    session.execute(_SET_STATE, {**_scope(principal), "id": endpoint_id, "state": state.value})


def delete_endpoint(session: Session, principal: Principal, endpoint_id: UUID) -> None:
    """Remove an endpoint with its secret; its pending deliveries are cancelled."""
    named = {**_scope(principal), "id": endpoint_id}
    for statement in (_DELETE, _DELETE_SECRET, _CANCEL_PENDING):
        session.execute(statement, named)


def get_secret(executor: Executor, principal: Principal, owner_id: UUID) -> Secret | None:
    """When the owner's secret was rotated; None when it has none."""
    row = executor.execute(_SECRET, {**_scope(principal), "id": owner_id}).one_or_none()
    return None if row is None else Secret(row.rotated_at, row.previous_until)


def rotate_secret(
    session: Session, principal: Principal, owner_id: UUID, sealed: bytes, overlap_seconds: float
) -> Secret:
    """Replace the sealed secret, if there is one; the old one still signs for `overlap_seconds`."""
    row = session.execute(
        _ROTATE, {**_scope(principal), "id": owner_id, "sealed": sealed, "overlap_seconds": overlap_seconds}
    ).one()
    return Secret(row.rotated_at, row.previous_until)


def insert_test(session: Session, principal: Principal, endpoint_id: UUID, delivery_id: UUID, event: str) -> Delivery:
    """Insert a test message."""
    given = {**_scope(principal), "id": endpoint_id, "delivery_id": delivery_id, "event": event}
    return _to_delivery(session.execute(_TEST, given).one())


def get_delivery(
    executor: Executor, principal: Principal, delivery_id: UUID, *, for_update: bool = False
) -> tuple[Delivery, bytes | None] | None:
    """The delivery and its body, or None when the project has no such one."""
    statement = _LOCK_DELIVERY if for_update else _GET_DELIVERY
    row = executor.execute(statement, {**_scope(principal), "id": delivery_id}).one_or_none()
    return None if row is None else (_to_delivery(row), None if row.body is None else bytes(row.body))


def list_attempts(executor: Executor, principal: Principal, delivery_id: UUID, limit: int) -> Sequence[Attempt]:
    """The last `limit` attempts, oldest first."""
    rows = executor.execute(_ATTEMPTS, {**_scope(principal), "id": delivery_id, "limit": limit}).all()
    return [Attempt(*tuple(row)) for row in reversed(rows)]


def list_deliveries(
    executor: Executor, principal: Principal, where: DeliveryFilter, before: UUID | None, limit: int
) -> list[Delivery]:
    """The project's deliveries, newest first, with ids below `before`."""
    rows = executor.execute(
        _LIST_DELIVERIES,
        {
            **_scope(principal),
            "before": before,
            "endpoint_id": where.endpoint_id,
            "job_id": where.job_id,
            "state": None if where.state is None else where.state.value,
            "event": where.event,
            "limit": limit,
        },
    )
    return [_to_delivery(row) for row in rows]


def redeliver(session: Session, principal: Principal, delivery_id: UUID) -> Delivery:
    """Restart the schedule of an ended delivery."""
    return _to_delivery(session.execute(_REDELIVER, {**_scope(principal), "id": delivery_id}).one())


def redeliver_since(
    session: Session,
    principal: Principal,
    endpoint_id: UUID,
    since: datetime,
    *,
    states: Sequence[DeliveryState],
    most: int,
) -> int:
    """Restart an endpoint's deliveries that ended since then, oldest first; returns how many."""
    given = {"endpoint_id": endpoint_id, "since": since, "states": [state.value for state in states], "most": most}
    return int(session.execute(_REDELIVER_SINCE, {**_scope(principal), **given}).scalar_one())
