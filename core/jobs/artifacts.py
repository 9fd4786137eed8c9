"""Files that a job produces. They are retained and deleted together with its payload."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import text

from core.capability import Artifact, LeaseLost
from core.jobs.conditions import STATE_OF_NAMED
from core.keys.principal import Principal
from core.kit.blob import BlobInfo
from core.kit.db import Executor
from core.kit.errors import NotFound

_COLUMNS = "name, content_type, size_bytes, sha256, blob_key, attempt, created_at"
# The fence is part of the statement. The name's previous artifact is returned, so that its blob can be removed.
_PUT = text(f"""
WITH job AS (
  SELECT id, organization_id, project_id, attempt FROM jobs
  WHERE id = :job AND attempt = :attempt AND {STATE_OF_NAMED} = 'running' FOR KEY SHARE
), before AS (
  SELECT blob_key FROM job_artifacts WHERE job_id = :job AND name = :name
)
INSERT INTO job_artifacts
  (job_id, name, organization_id, project_id, attempt, content_type, size_bytes, sha256, blob_key)
SELECT id, :name, organization_id, project_id, attempt, :content_type, :size_bytes, :sha256, :blob_key FROM job
ON CONFLICT (job_id, name) DO UPDATE SET attempt = excluded.attempt, content_type = excluded.content_type,
  size_bytes = excluded.size_bytes, sha256 = excluded.sha256, blob_key = excluded.blob_key, created_at = now()
RETURNING (SELECT blob_key FROM before) AS replaced
""")
_LIST = text(
    f"SELECT {_COLUMNS} FROM job_artifacts WHERE job_id = :job AND project_id = :project_id"
    " AND organization_id = :organization_id ORDER BY name"
)
_GET = text(
    f"SELECT {_COLUMNS} FROM job_artifacts WHERE job_id = :job AND name = :name AND project_id = :project_id"
    " AND organization_id = :organization_id"
)


@dataclass(frozen=True, slots=True)
class ArtifactRecord:
    """A stored artifact; `sha256` is hexadecimal, `blob_key` its place in the blob store."""

    name: str
    content_type: str
    size_bytes: int
    sha256: str
    blob_key: str
    attempt: int
    created_at: datetime


def place(job_id: UUID, attempt: int, name: str) -> str:
    """Where an attempt's artifact is stored: below its job, so that it is deleted with the job's payload."""
    return f"jobs/{job_id}/artifacts/{hashlib.sha256(name.encode()).hexdigest()[:32]}/{attempt}"


def put(executor: Executor, job_id: UUID, attempt: int, name: str, stored: BlobInfo) -> tuple[Artifact, str | None]:
    """Make a stored blob an artifact of the running attempt; returns it, and the blob that it replaces.

    Raises `LeaseLost` when the attempt no longer owns the job.
    """
    row = executor.execute(
        _PUT,
        {
            "job": job_id,
            "attempt": attempt,
            "name": name,
            "content_type": stored.content_type,
            "size_bytes": stored.size_bytes,
            "sha256": stored.sha256,
            "blob_key": stored.key,
        },
    ).one_or_none()
    if row is None:
        raise LeaseLost
    replaced = row.replaced if row.replaced != stored.key else None
    return Artifact(name, stored.content_type, stored.size_bytes, stored.sha256), replaced


def list_artifacts(executor: Executor, principal: Principal, job_id: UUID) -> Sequence[ArtifactRecord]:
    """The job's artifacts by name."""
    rows = executor.execute(_LIST, _scope(principal, job_id))
    return [ArtifactRecord(*tuple(row)) for row in rows]


def get_artifact(executor: Executor, principal: Principal, job_id: UUID, name: str) -> ArtifactRecord:
    """One artifact. Raises `NotFound` for an unknown name and for another project's job alike."""
    row = executor.execute(_GET, {**_scope(principal, job_id), "name": name}).one_or_none()
    if row is None:
        raise NotFound("this job has no artifact of that name", code="artifact_not_found")
    return ArtifactRecord(*tuple(row))


def _scope(principal: Principal, job_id: UUID) -> dict[str, object]:
    return {"job": job_id, "organization_id": principal.organization_id, "project_id": principal.project_id}
