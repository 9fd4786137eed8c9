"""Audit trails to seal, to verify and to damage."""

from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import psycopg
from pydantic import SecretStr
from sqlalchemy import text

from core.audit import sealer
from core.audit.actions import AuditAction
from core.audit.documents import Seal
from core.audit.findings import Report
from core.audit.record import Actor, Personal, record
from core.audit.repository import seals
from core.audit.verification import Anchors, verify
from core.kit.db import Database
from core.kit.ids import new_id
from core.kit.settings import Settings
from core.kit.signing import Keyring, Signer, generate_seed

_MANY = text("""
INSERT INTO audit_inbox (organization_id, project_id, action, subject_id, actor_kind, actor_id, attempt,
  payload_digest, detail)
SELECT :organization, :project, 'worker:job:succeed', 'job_' || number, 'worker', 'worker-' || number % 7, 1,
  sha256(number::text::bytea), jsonb_build_object('cost_usd', '0.00' || number, 'reason', NULL)
FROM generate_series(1, :count) AS number
""")


def new_signer() -> Signer:
    """A signer with a key of its own."""
    return Signer.from_settings(Settings(signing_key=SecretStr(generate_seed())))


@dataclass
class Trail:
    """The trail of a fresh organisation."""

    database: Database
    signer: Signer = field(default_factory=new_signer)
    organization_id: UUID = field(default_factory=new_id)
    project_id: UUID = field(default_factory=new_id)

    @property
    def keyring(self) -> Keyring:
        """The public half of the signer."""
        return Keyring([self.signer.public_key])

    def write(self, subject_id: str = "job_1", *, personal: Personal | None = None, **detail: Any) -> None:
        """One record, as a domain writes it."""
        with self.database.tenant(self.organization_id) as session:
            record(
                session,
                self.organization_id,
                self.project_id,
                AuditAction.JOB_SUBMIT,
                subject_id=subject_id,
                actor=Actor("key", "key_1"),
                payload_digest=b"\x01" * 32,
                detail=detail,
                personal=personal,
            )

    def write_many(self, count: int) -> None:
        """`count` records in one statement."""
        with self.database.tenant(self.organization_id) as session:
            session.execute(_MANY, {"organization": self.organization_id, "project": self.project_id, "count": count})

    def seal(self, most: int = sealer.SEALED_MAX) -> int:
        """Seal what waits, in batches of `most`; returns how many records were sealed."""
        sealed = 0
        while done := sealer.seal_once(self.database, self.signer, most):
            sealed += done
        return sealed

    def sealed(self, *batches: int) -> "Trail":
        """Write and seal batches of these sizes."""
        for size in batches:
            self.write_many(size)
            assert self.seal() >= size
        return self

    def seals(self) -> list[Seal]:
        """Every seal of the chain."""
        with self.database.tenant(self.organization_id) as session:
            return seals(session, self.organization_id, after=0, through=10**9, most=10**6)

    def verify(self, *, anchors: Anchors = (), **how: Any) -> Report:
        """The report of a verification as the tenant."""
        with self.database.tenant(self.organization_id) as session:
            return verify(session, self.organization_id, self.keyring, anchors=anchors, **how)

    def found(self, **how: Any) -> list[tuple[str, int | None, int | None, int | None]]:
        """What a verification finds, as (kind, seal, first record, last record)."""
        return [
            (each.kind.value, each.seal, each.first_sequence, each.last_sequence)
            for each in self.verify(**how).findings
        ]

    def tamper(self, statement: str, **parameters: Any) -> int:
        """Change rows as somebody with all rights on the server can, triggers off; returns how many were touched."""
        url = self.database.url.set(drivername="postgresql").render_as_string(hide_password=False)
        with psycopg.connect(url) as connection:
            connection.execute("SET session_replication_role = replica")
            found = connection.execute(statement, {"organization": self.organization_id, **parameters})
            assert found.rowcount > 0, "the tampering touched nothing"
            return found.rowcount
