"""The SQL of guard policies and reviews. Policy rows are only ever added."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from core.guard.stored import NewReview, PolicyVersion, Review, Verdict
from core.keys.principal import Principal
from core.kit.db import Executor
from core.kit.json_values import dumps

_VERSION = """
SELECT organization_id, project_id, version, document, id, created_at, created_by FROM guard_policies
WHERE organization_id = :organization_id
"""
_OF_SCOPE = f"{_VERSION} AND project_id IS NOT DISTINCT FROM CAST(:project_id AS uuid)"
_GET = text(
    f"{_OF_SCOPE} AND (CAST(:version AS int) IS NULL OR version = CAST(:version AS int)) ORDER BY version DESC LIMIT 1"
)
_LIST = text(
    f"{_OF_SCOPE} AND (CAST(:before AS int) IS NULL OR version < CAST(:before AS int))"
    " ORDER BY version DESC LIMIT :limit"
)
# The organization's comes first.
_IN_FORCE = text("""
SELECT id FROM (
  (SELECT id, 0 AS place FROM guard_policies WHERE organization_id = :organization_id AND project_id IS NULL
    ORDER BY version DESC LIMIT 1)
  UNION ALL
  (SELECT id, 1 FROM guard_policies WHERE organization_id = :organization_id AND project_id = :project_id
    ORDER BY version DESC LIMIT 1)
) AS newest ORDER BY place
""")
_DOCUMENT = text("SELECT document FROM guard_policies WHERE organization_id = :organization_id AND id = :id")
_ADD = text("""
INSERT INTO guard_policies (organization_id, project_id, version, document, created_by)
VALUES (:organization_id, CAST(:project_id AS uuid), :version, CAST(:document AS jsonb), CAST(:created_by AS text))
ON CONFLICT (organization_id, project_id, version) DO NOTHING
RETURNING id
""")
_PROJECT = text("SELECT FROM projects WHERE organization_id = :organization_id AND id = :project_id")
_REVIEW = "id, project_id, job_id, kind, value, verdict, is_allowed, reviewed_by, created_at"
_ADD_REVIEW = text(f"""
INSERT INTO guard_reviews (id, organization_id, project_id, job_id, kind, value, verdict, is_allowed, reviewed_by)
VALUES (:id, :organization_id, CAST(:project_id AS uuid), CAST(:job_id AS uuid), :kind, :value, :verdict, :is_allowed,
  CAST(:reviewed_by AS text))
RETURNING {_REVIEW}
""")
_LIST_REVIEWS = text(f"""
SELECT {_REVIEW} FROM guard_reviews
WHERE organization_id = :organization_id AND (CAST(:cursor AS uuid) IS NULL OR id < CAST(:cursor AS uuid))
  AND (CAST(:verdict AS text) IS NULL OR verdict = CAST(:verdict AS text))
ORDER BY id DESC LIMIT :limit
""")


def get(
    session: Executor, organization_id: UUID, project_id: UUID | None, version: int | None = None
) -> PolicyVersion | None:
    """A version of the organization's policy, or of a project's: the newest by default."""
    parameters = {"organization_id": organization_id, "project_id": project_id, "version": version}
    row = session.execute(_GET, parameters).one_or_none()
    return None if row is None else _to_version(row)


def list_versions(
    session: Executor, organization_id: UUID, project_id: UUID | None, before: int | None, limit: int
) -> list[PolicyVersion]:
    """Versions of one policy, newest first, with numbers below `before`."""
    parameters = {
        "organization_id": organization_id,
        "project_id": project_id,
        "before": before,
        "limit": limit,
    }
    return [_to_version(row) for row in session.execute(_LIST, parameters)]


def in_force(executor: Executor, organization_id: UUID, project_id: UUID) -> tuple[UUID, ...]:
    """The ids of the newest versions of the organization's and the project's policies, as far as they exist."""
    rows = executor.execute(_IN_FORCE, {"organization_id": organization_id, "project_id": project_id})
    return tuple(row.id for row in rows)


def document(executor: Executor, organization_id: UUID, policy_id: UUID) -> dict[str, Any]:
    """The document of one version."""
    row = executor.execute(_DOCUMENT, {"organization_id": organization_id, "id": policy_id}).one()
    found: dict[str, Any] = row.document
    return found


def add(session: Session, version: PolicyVersion) -> UUID | None:
    """The id of a new version; None when that number already exists."""
    made: UUID | None = session.execute(
        _ADD,
        {
            "organization_id": version.organization_id,
            "project_id": version.project_id,
            "version": version.version,
            "document": dumps(version.document).decode(),
            "created_by": version.created_by,
        },
    ).scalar_one_or_none()
    return made


def has_project(session: Executor, organization_id: UUID, project_id: UUID) -> bool:
    """Whether the organization has such a project."""
    found = session.execute(_PROJECT, {"organization_id": organization_id, "project_id": project_id})
    return found.one_or_none() is not None


def add_review(  # noqa: PLR0917 - one row
    session: Session, principal: Principal, project_id: UUID | None, new: NewReview, review_id: UUID, box: bytes
) -> Review:
    """Store the caller's review of a finding."""
    parameters = {
        "id": review_id,
        "organization_id": principal.organization_id,
        "project_id": project_id,
        "job_id": new.job_id,
        "kind": new.kind,
        "value": box,
        "verdict": new.verdict,
        "is_allowed": new.allow,
        "reviewed_by": principal.actor_id,
    }
    return Review(*tuple(session.execute(_ADD_REVIEW, parameters).one()))


def list_reviews(
    session: Executor, organization_id: UUID, *, verdict: Verdict | None, cursor: UUID | None, limit: int
) -> Sequence[Review]:
    """The organization's reviews, newest first, with ids below `cursor`."""
    parameters = {"organization_id": organization_id, "verdict": verdict, "cursor": cursor, "limit": limit}
    return [Review(*tuple(row)) for row in session.execute(_LIST_REVIEWS, parameters)]


def _to_version(row: Row[Any]) -> PolicyVersion:
    return PolicyVersion(*tuple(row))
