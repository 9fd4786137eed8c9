"""Endpoints and deliveries as a project uses them. Everything here adds to the caller's transaction.

A URL is checked before a transaction starts, because that asks a resolver: the edge calls `TargetPolicy.check`, for
an endpoint and for a job's own webhook alike.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from core.audit.actions import AuditAction
from core.audit.record import record
from core.keys.clearance import require_cleared
from core.keys.principal import Principal
from core.kit.data_classes import DataClass
from core.kit.db import Executor
from core.kit.ids import MESSAGE, PROJECT, WEBHOOK_ENDPOINT, encode, new_id
from core.kit.sealing import Sealer, secret_keys
from core.kit.settings import Settings
from core.webhooks import repository
from core.webhooks.errors import (
    BodyErased,
    DeliveryNotFound,
    DeliveryPending,
    EndpointNotFound,
    EndpointStateConflict,
    SecretMissing,
    TooManyEndpoints,
)
from core.webhooks.events import TEST
from core.webhooks.records import (
    Delivery,
    DeliveryFilter,
    DeliveryState,
    DeliveryWithAttempts,
    Endpoint,
    EndpointChange,
    EndpointState,
    Issued,
    NewEndpoint,
    Secret,
)
from core.webhooks.signing import SEALED_FOR, generate_secret, show_secret

ENDPOINTS_MAX = 50
OVERLAP_MAX = timedelta(days=7)
REDELIVERED_MAX = 10_000
ATTEMPTS_SHOWN = 100


class WebhookService:
    """Add, read, change, pause, resume, remove, rotate, test, list, redeliver; each change leaves an audit record."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def create(self, session: Session, principal: Principal, new: NewEndpoint) -> Issued:
        """Add an endpoint; the only time that its secret is returned. Raises `TooManyEndpoints`."""
        repository.lock_project(session, principal)
        if repository.count_endpoints(session, principal) >= ENDPOINTS_MAX:
            raise TooManyEndpoints(f"a project has at most {ENDPOINTS_MAX} endpoints; remove one first")
        endpoint_id = new_id()
        repository.insert_endpoint(session, principal, endpoint_id, new)
        secret, _ = self._new_secret(session, principal, endpoint_id, timedelta(0))
        _require_cleared_for_results(principal, new.include_result)
        facts = {"events": list(new.events), "include_result": new.include_result}
        _record(session, principal, AuditAction.WEBHOOK_ENDPOINT_CREATE, _named(endpoint_id), facts)
        return Issued(secret, self.get(session, principal, endpoint_id))

    def get(self, executor: Executor, principal: Principal, endpoint_id: UUID) -> Endpoint:
        """One endpoint. Raises `EndpointNotFound`."""
        found = repository.get_endpoint(executor, principal, endpoint_id)
        if found is None:
            raise EndpointNotFound(f"there is no webhook endpoint {_named(endpoint_id)} in this project")
        return found

    def endpoints(
        self, executor: Executor, principal: Principal, *, cursor: UUID | None = None, limit: int = 50
    ) -> list[Endpoint]:
        """The project's endpoints, newest first, with ids below `cursor`."""
        return repository.list_endpoints(executor, principal, cursor, limit)

    def update(self, session: Session, principal: Principal, endpoint_id: UUID, change: EndpointChange) -> Endpoint:
        """Change the fields that `change` names; pending deliveries go to the new URL. Raises `EndpointNotFound`."""
        before = self.get(session, principal, endpoint_id)
        _require_cleared_for_results(principal, before.include_result or bool(change.include_result))
        repository.update_endpoint(session, principal, endpoint_id, change)
        changed = [name for name in EndpointChange.__dataclass_fields__ if getattr(change, name) is not None]
        _record(session, principal, AuditAction.WEBHOOK_ENDPOINT_UPDATE, _named(endpoint_id), {"changed": changed})
        return self.get(session, principal, endpoint_id)

    def pause(self, session: Session, principal: Principal, endpoint_id: UUID) -> Endpoint:
        """Hold messages back until `resume`; idempotent. Raises `EndpointNotFound`, `EndpointStateConflict`."""
        found = self.get(session, principal, endpoint_id)
        if found.state is EndpointState.DISABLED:
            raise EndpointStateConflict("the endpoint is disabled: nothing is kept for it; resume it instead")
        return self._move(session, principal, found, EndpointState.PAUSED, AuditAction.WEBHOOK_ENDPOINT_PAUSE)

    def resume(self, session: Session, principal: Principal, endpoint_id: UUID) -> Endpoint:
        """Deliver again, after a pause or after Waybill disabled it; idempotent. Raises `EndpointNotFound`."""
        found = self.get(session, principal, endpoint_id)
        return self._move(session, principal, found, EndpointState.ACTIVE, AuditAction.WEBHOOK_ENDPOINT_RESUME)

    def _move(
        self, session: Session, principal: Principal, found: Endpoint, state: EndpointState, action: AuditAction
    ) -> Endpoint:
        if found.state is state:
            return found
        repository.set_state(session, principal, found.id, state)
        _record(session, principal, action, _named(found.id), {"before": found.state.value})
        return self.get(session, principal, found.id)

    def remove(self, session: Session, principal: Principal, endpoint_id: UUID) -> Endpoint:
        """Remove an endpoint and return it; its pending deliveries are cancelled. Raises `EndpointNotFound`."""
        found = self.get(session, principal, endpoint_id)
        repository.delete_endpoint(session, principal, endpoint_id)
        _record(session, principal, AuditAction.WEBHOOK_ENDPOINT_REMOVE, _named(endpoint_id), {})
        return found

    def rotate(self, session: Session, principal: Principal, endpoint_id: UUID, overlap: timedelta) -> Issued:
        """Create a new secret, returned only here; both sign during `overlap`. Raises `EndpointNotFound`."""
        self.get(session, principal, endpoint_id)
        secret, _ = self._new_secret(session, principal, endpoint_id, overlap)
        facts = {"overlap_seconds": int(overlap.total_seconds())}
        _record(session, principal, AuditAction.WEBHOOK_SECRET_ROTATE, _named(endpoint_id), facts)
        return Issued(secret, self.get(session, principal, endpoint_id))

    def rotate_project_secret(self, session: Session, principal: Principal, overlap: timedelta) -> Issued:
        """Create or replace the secret that signs for receivers named by jobs."""
        secret, stored = self._new_secret(session, principal, principal.project_id, overlap)
        facts = {"overlap_seconds": int(overlap.total_seconds())}
        subject = encode(PROJECT, principal.project_id)
        _record(session, principal, AuditAction.WEBHOOK_SECRET_ROTATE, subject, facts)
        return Issued(secret, project_secret=stored)

    def project_secret(self, executor: Executor, principal: Principal) -> Secret | None:
        """When the project's own secret was created or rotated; None when there is none."""
        return repository.get_secret(executor, principal, principal.project_id)

    def require_project_secret(self, executor: Executor, principal: Principal) -> None:
        """Raise `SecretMissing` unless the project can sign for receivers named by jobs."""
        if self.project_secret(executor, principal) is None:
            raise SecretMissing(
                "this project has no secret for the webhooks that jobs name; make it once with"
                " POST /v1/webhook-secret/rotate, or waybill webhooks secret --rotate"
            )

    def _new_secret(
        self, session: Session, principal: Principal, owner_id: UUID, overlap: timedelta
    ) -> tuple[str, Secret]:
        secret = generate_secret()
        sealed = Sealer(secret_keys(self._settings), SEALED_FOR).seal(owner_id, secret)
        stored = repository.rotate_secret(session, principal, owner_id, sealed, overlap.total_seconds())
        return show_secret(secret), stored

    def test(self, session: Session, principal: Principal, endpoint_id: UUID) -> Delivery:
        """Send a message of type ``webhook.test``, in the same way as all others.

        Raises `EndpointNotFound`, or `EndpointStateConflict` unless the endpoint is active.
        """
        found = self.get(session, principal, endpoint_id)
        _require_active(found)
        return repository.insert_test(session, principal, endpoint_id, new_id(), TEST)

    def deliveries(
        self, executor: Executor, principal: Principal, where: DeliveryFilter, *, cursor: UUID | None, limit: int
    ) -> list[Delivery]:
        """The project's deliveries, newest first, with ids below `cursor`."""
        return repository.list_deliveries(executor, principal, where, cursor, limit)

    def delivery(self, executor: Executor, principal: Principal, delivery_id: UUID) -> DeliveryWithAttempts:
        """One delivery with its body and its last attempts. Raises `DeliveryNotFound`."""
        found = repository.get_delivery(executor, principal, delivery_id)
        if found is None:
            raise _no_delivery(delivery_id)
        attempts = repository.list_attempts(executor, principal, delivery_id, ATTEMPTS_SHOWN)
        return DeliveryWithAttempts(*found, attempts)

    def redeliver(self, session: Session, principal: Principal, delivery_id: UUID) -> Delivery:
        """Restart an ended delivery's schedule: the same id, the same bytes.

        Raises `DeliveryNotFound`, `DeliveryPending`, `BodyErased`, `EndpointNotFound`, `EndpointStateConflict`.
        """
        found = repository.get_delivery(session, principal, delivery_id, for_update=True)
        if found is None:
            raise _no_delivery(delivery_id)
        delivery, body = found
        if delivery.state is DeliveryState.PENDING:
            raise DeliveryPending("it has not ended; it is tried again when it is due")
        if body is None:
            raise BodyErased("retention took its body away with the job's payload")
        if delivery.endpoint_id is not None:
            _require_enabled(self.get(session, principal, delivery.endpoint_id))
        again = repository.redeliver(session, principal, delivery_id)
        _record(session, principal, AuditAction.WEBHOOK_REDELIVER, encode(MESSAGE, delivery_id), {})
        return again

    def redeliver_since(
        self, session: Session, principal: Principal, endpoint_id: UUID, since: datetime, *, with_delivered: bool
    ) -> int:
        """Restart deliveries that failed since then, and with `with_delivered` also delivered ones; at most 10,000.

        Returns how many. Raises `EndpointNotFound`, `EndpointStateConflict`.
        """
        _require_enabled(self.get(session, principal, endpoint_id))
        states = [DeliveryState.FAILED, *([DeliveryState.DELIVERED] if with_delivered else [])]
        count = repository.redeliver_since(session, principal, endpoint_id, since, states=states, most=REDELIVERED_MAX)
        _record(session, principal, AuditAction.WEBHOOK_REDELIVER, _named(endpoint_id), {"deliveries": count})
        return count


def _require_cleared_for_results(principal: Principal, includes: bool) -> None:
    # An endpoint receives the results of all jobs of its project, whatever their class.
    if includes:
        require_cleared(principal, DataClass.RESTRICTED, "what an endpoint with results receives")


def _require_active(endpoint: Endpoint) -> None:
    if endpoint.state is not EndpointState.ACTIVE:
        raise EndpointStateConflict(f"the endpoint is {endpoint.state}; resume it first")


def _require_enabled(endpoint: Endpoint) -> None:
    if endpoint.state is EndpointState.DISABLED:
        raise EndpointStateConflict("the endpoint is disabled; resume it first")


def _named(endpoint_id: UUID) -> str:
    return encode(WEBHOOK_ENDPOINT, endpoint_id)


def _no_delivery(delivery_id: UUID) -> DeliveryNotFound:
    return DeliveryNotFound(f"there is no webhook delivery {encode(MESSAGE, delivery_id)} in this project")


def _record(
    session: Session, principal: Principal, action: AuditAction, subject_id: str, detail: Mapping[str, Any]
) -> None:
    record(
        session,
        principal.organization_id,
        principal.project_id,
        action,
        subject_id=subject_id,
        actor=principal.actor,
        detail=detail,
    )
