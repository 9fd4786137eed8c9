"""Records of the audit trail."""

from datetime import datetime

from waybill.client.models.base import Resource


class AuditRecord(Resource):
    """A record. `sequence` is None until it is sealed."""

    id: str
    sequence: int | None
    recorded_at: datetime
    action: str
    subject_id: str
    actor_kind: str
    actor_id: str | None
