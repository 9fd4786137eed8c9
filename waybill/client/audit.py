"""The audit trail, and the signed waybill of a job."""

from datetime import datetime
from typing import Any

from waybill.client.models import Page, Resource
from waybill.client.transport import Transport

_AUDIT = "/v1/audit"


class AuditRecord(Resource):
    """A record. `sequence` is None until it is sealed."""

    id: str
    sequence: int | None
    recorded_at: datetime
    action: str
    subject_id: str
    actor_kind: str
    actor_id: str | None


class Audit:
    """``/v1/audit``, and what a job left there."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def list(
        self,
        *,
        actor: str | None = None,
        subject: str | None = None,
        actions: tuple[str, ...] = (),
        after: str | None = None,
        before: str | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> Page[AuditRecord]:
        """One page of the trail, newest first. `after` and `before` are RFC 3339 times."""
        optional = {
            "actor": actor,
            "subject": subject,
            "action": list(actions) or None,
            "recorded_after": after,
            "recorded_before": before,
            "cursor": cursor,
        }
        params: dict[str, Any] = {"limit": limit}
        params |= {name: value for name, value in optional.items() if value is not None}
        return Page[AuditRecord].model_validate(self._transport.get(_AUDIT, params).json())

    def verify(self, *, after_seal: int = 0) -> dict[str, Any]:
        """The report about one stretch of the organisation's trail; ``next_after_seal`` says where to go on."""
        report: dict[str, Any] = self._transport.get(
            f"{_AUDIT}/verify", {"after_seal": after_seal}, wait_seconds=60
        ).json()
        return report

    def erase(self, data_subject: str) -> dict[str, Any]:
        """Erase a person from the trail; returns the erasure's ``id`` and ``erased_values``."""
        done: dict[str, Any] = self._transport.post(f"{_AUDIT}/erasures", {"data_subject": data_subject}).json()
        return done

    def waybill(self, job_id: str) -> dict[str, Any]:
        """The signed waybill of an ended job, exactly as the API sent it."""
        document: dict[str, Any] = self._transport.get(f"/v1/jobs/{job_id}/waybill").json()
        return document
