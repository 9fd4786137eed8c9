"""Organisations with a key per role, and the audit trail that acts leave."""

from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import text

from core.keys.roles import Role
from core.keys.service import IssuedKey
from core.kit.db import Database
from core.kit.settings import Settings
from tests.factories.api import issue_key


def role_key(settings: Settings, role: Role, *, organization: str | None = None, project: str = "default") -> IssuedKey:
    """A key with all scopes of `role`, in an organisation of its own unless named."""
    return issue_key(
        settings,
        organization=organization or f"org-{uuid4()}",
        project=project,
        scopes=tuple(sorted(role.scopes)),
    )


def audit_trail(settings: Settings, organization_id: UUID) -> list[dict[str, Any]]:
    """The organisation's audit records that are not sealed yet, oldest first."""
    database = Database(settings, application_name="test-audit", pool_size=1)
    try:
        with database.system() as session:
            rows = session.execute(
                text("SELECT * FROM audit_inbox WHERE organization_id = :organization ORDER BY recorded_at, id"),
                {"organization": organization_id},
            ).mappings()
            return [dict(row) for row in rows]
    finally:
        database.close()
