"""Retires records: before partitions are dropped, a signed statement names the seals that lose their records."""

from datetime import datetime

from sqlalchemy.orm import Session

from core.audit import repository
from core.audit.documents import retirement_message
from core.audit.repository import Retirement
from core.kit.signing import Signer


def retire_before(session: Session, signer: Signer, before: datetime) -> int:
    """Declare the records of every seal made before `before` deletable; returns for how many organizations.

    For `Database.system`. Drop the partitions of ``audit_records`` that end at or before `before` in the same
    transaction: a partition holds whole seals, so no record that is still needed is dropped with them. The seals
    themselves stay, and so does the chain.
    """
    seals = repository.retirable_seals(session, before)
    moment = repository.now(session)
    for seal in seals:
        message = retirement_message(seal.organization_id, seal.number, seal.hash, moment)
        retirement = Retirement(seal.number, seal.hash, moment, signer.sign(message), signer.key_id)
        repository.insert_retirement(session, seal.organization_id, retirement)
    return len(seals)
