"""The audit trail, and the signed waybill of a job."""

# Written by `python -m waybill.client.generate` from aio/audit.py: change that, and run it again.

from datetime import datetime
from typing import Any

from waybill.client.bodies import given
from waybill.client.models import AuditRecord, Page
from waybill.client.sync.endpoints import Endpoints
from waybill.client.wire import json_of

_AUDIT = "/v1/audit"


class Audit(Endpoints):
    """``/v1/audit``, and what a job left there."""

    def list(
        self,
        *,
        actor: str | None = None,
        subject: str | None = None,
        actions: tuple[str, ...] = (),
        after: datetime | str | None = None,
        before: datetime | str | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> Page[AuditRecord]:
        """One page of the trail, newest first. `after` and `before` are times, as text RFC 3339."""
        params = given(
            actor=actor,
            subject=subject,
            action=[*actions] or None,
            recorded_after=after,
            recorded_before=before,
            limit=limit,
            cursor=cursor,
        )
        return self._get(Page[AuditRecord], _AUDIT, params)

    def of_job(self, job_id: str, *, limit: int = 100, cursor: str | None = None) -> Page[AuditRecord]:
        """One page of a job's records, oldest first."""
        return self._get(Page[AuditRecord], f"/v1/jobs/{job_id}/audit", given(limit=limit, cursor=cursor))

    def proof(self, record_id: str) -> dict[str, Any]:
        """The path from a record to the root of its signed seal. Raises `Conflict` while it has no seal."""
        answer = self._transport.get(f"{_AUDIT}/{record_id}/proof")
        return json_of(answer)

    def verify(self, *, after_seal: int = 0) -> dict[str, Any]:
        """Verify one stretch of the organization's trail. ``next_after_seal`` is where to continue."""
        answer = self._transport.get(f"{_AUDIT}/verify", {"after_seal": after_seal}, wait_seconds=60)
        return json_of(answer)

    def erase(self, data_subject: str) -> dict[str, Any]:
        """Erase a person from the trail; returns the erasure's ``id`` and ``erased_values``."""
        answer = self._transport.post(f"{_AUDIT}/erasures", {"data_subject": data_subject})
        return json_of(answer)

    def waybill(self, job_id: str) -> dict[str, Any]:
        """The signed waybill of an ended job, exactly as the API sent it."""
        answer = self._transport.get(f"/v1/jobs/{job_id}/waybill")
        return json_of(answer)
