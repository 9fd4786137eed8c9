"""Seals stored secrets again after ``WAYBILL_SECRET_KEY`` was replaced, so that the old key can be removed."""

from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from core.kit.sealing import Sealer, secret_keys
from core.kit.settings import Settings
from core.webhooks.signing import SEALED_FOR

_BOXES = text("SELECT owner_id, sealed, previous FROM webhook_secrets ORDER BY owner_id FOR UPDATE")
_REPLACE = text("UPDATE webhook_secrets SET sealed = :sealed, previous = :previous WHERE owner_id = :owner_id")


def reseal(session: Session, settings: Settings) -> int:
    """Seal every webhook secret with the current secret key; needs `Database.system`. Returns the number of secrets.

    Raises `core.kit.sealing.CannotOpen` for one that neither this key nor a retired one opens; nothing is changed then.
    """
    sealer = Sealer(secret_keys(settings), SEALED_FOR)

    def again(owner: UUID, box: bytes | None) -> bytes | None:
        return None if box is None else sealer.seal(owner, sealer.open(owner, box))

    rows = session.execute(_BOXES).all()
    for row in rows:
        sealed, previous = again(row.owner_id, row.sealed), again(row.owner_id, row.previous)
        session.execute(_REPLACE, {"owner_id": row.owner_id, "sealed": sealed, "previous": previous})
    return len(rows)
