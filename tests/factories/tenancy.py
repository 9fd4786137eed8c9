"""Organisations with a key per role, and the audit trail that acts leave."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text

from core.keys.roles import Role
from core.keys.service import IssuedKey
from core.kit.db import Database, Step
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


def watch_single_statements(database: Database, monkeypatch: pytest.MonkeyPatch, containing: str) -> list[str]:
    """The statements with `containing` in them that `database` executes in a transaction of their own from now on."""
    seen: list[str] = []
    execute = database.run_together

    def watched(role: str, organization: str, steps: Sequence[Step]) -> Any:
        seen.extend(str(statement) for statement, _ in steps if containing in str(statement))
        return execute(role, organization, steps)

    monkeypatch.setattr(database, "run_together", watched)
    return seen
