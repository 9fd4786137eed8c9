"""Durable checkpoints of a job as bytes, fenced by the attempt. Their content belongs to the framework.

Each names the version of the graph that wrote it, and an attempt sees only those of its own version: no state is ever
assembled from two versions, whatever the order of their writes.
"""

from collections.abc import Callable, Iterator
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from core.capability import FIRST_GRAPH, LeaseLost, StoredCheckpoint
from core.jobs.conditions import STATE_OF_NAMED
from core.jobs.repository import dump
from core.kit.db import Database

_OWNED = (
    "SELECT organization_id FROM jobs"
    f" WHERE id = :job_id AND attempt = :attempt AND {STATE_OF_NAMED} = 'running' FOR SHARE"
)

_SAVE = text(f"""
WITH job AS ({_OWNED})
INSERT INTO job_checkpoints (job_id, namespace, id, parent_id, organization_id, kind, body, metadata)
SELECT :job_id, :namespace, :id, :parent_id, organization_id, :kind, :body, CAST(:metadata AS jsonb) FROM job
ON CONFLICT (job_id, namespace, id) DO UPDATE
  SET kind = excluded.kind, body = excluded.body, metadata = excluded.metadata, parent_id = excluded.parent_id
RETURNING 1
""")

_SAVE_WRITES = text(f"""
WITH job AS ({_OWNED})
INSERT INTO job_checkpoint_writes
  (job_id, namespace, checkpoint_id, task_id, index, organization_id, channel, kind, body)
SELECT :job_id, :namespace, :checkpoint_id, :task_id, line.index, organization_id, line.channel, line.kind, line.body
FROM job, unnest(CAST(:indexes AS int[]), CAST(:channels AS text[]), CAST(:kinds AS text[]), CAST(:bodies AS bytea[]))
  AS line (index, channel, kind, body)
ON CONFLICT (job_id, namespace, checkpoint_id, task_id, index) DO UPDATE
  SET channel = excluded.channel, kind = excluded.kind, body = excluded.body
RETURNING 1
""")

_VERSION_KEY = "graph_version"
# Which version of the graph wrote a row of job_checkpoints.
VERSION = f"coalesce(CAST(metadata ->> '{_VERSION_KEY}' AS int), {FIRST_GRAPH})"

# Questions and children of a job without a checkpoint are state too: they are found again by their keys.
_MARK_NAMESPACE = "graph version"
_MARK = text(f"""
WITH job AS ({_OWNED}), mark AS (
  INSERT INTO job_checkpoints (job_id, namespace, id, organization_id, kind, body, metadata)
  SELECT :job_id, '{_MARK_NAMESPACE}', CAST(CAST(:version AS int) AS text), organization_id, 'mark', '',
    jsonb_build_object('{_VERSION_KEY}', CAST(:version AS int))
  FROM job ON CONFLICT DO NOTHING
)
SELECT 1 FROM job
""")
_BEGUN_WITH = text(f"SELECT max({VERSION}) FROM job_checkpoints WHERE job_id = :job_id")

_SELECT = (
    "SELECT namespace, id, parent_id, kind, body, metadata FROM job_checkpoints"
    f" WHERE job_id = :job_id AND {VERSION} = :version AND namespace <> '{_MARK_NAMESPACE}'"
)
_NEWEST = text(f"{_SELECT} AND namespace = :namespace ORDER BY id DESC LIMIT 1")
_NAMED = text(f"{_SELECT} AND namespace = :namespace AND id = :id")
_LIST = text(
    f"{_SELECT} AND (CAST(:namespace AS text) IS NULL OR namespace = :namespace)"
    " AND (CAST(:before AS text) IS NULL OR id < :before) ORDER BY id DESC LIMIT :limit"
)
_WRITES = text(
    "SELECT task_id, index, channel, kind, body FROM job_checkpoint_writes"
    " WHERE job_id = :job_id AND namespace = :namespace AND checkpoint_id = :id ORDER BY task_id, index"
)

_ALL = 10_000


class JobCheckpoints:
    """Implements `core.capability.CheckpointStore` for one attempt and one `version` of the graph."""

    def __init__(
        self,
        database: Database,
        job_id: UUID,
        organization_id: UUID,
        attempt: int,
        *,
        version: int = FIRST_GRAPH,
        is_named: bool = False,
        before_saving: Callable[[], None] | None = None,
    ) -> None:
        self.version = version
        self._database = database
        self._single = database.single_tenant(organization_id)
        self._scope = {"job_id": job_id, "attempt": attempt}
        self._read = {"job_id": job_id, "version": version}
        self._organization_id = organization_id
        self._before_saving = before_saving
        self.written = False
        self._is_named = is_named

    def begun_with(self) -> int | None:
        """The version that the job started with, or was migrated to; None when it has stored nothing yet."""
        found = self._single.execute(_BEGUN_WITH, {"job_id": self._scope["job_id"]}).scalar_one_or_none()
        return None if found is None else int(found)

    def name_version(self) -> None:
        """Record this version as the job's, with or without a checkpoint. Raises `LeaseLost`."""
        if not self._is_named:
            self._require(bool(self._single.execute(_MARK, {**self._scope, "version": self.version}).all()))

    def save(self, checkpoint: StoredCheckpoint) -> None:
        """Store a checkpoint. Raises `LeaseLost`."""
        self._prepare()
        stored = self._single.execute(
            _SAVE,
            {
                **self._scope,
                "namespace": checkpoint.namespace,
                "id": checkpoint.id,
                "parent_id": checkpoint.parent_id,
                "kind": checkpoint.kind,
                "body": checkpoint.body,
                "metadata": dump({**checkpoint.metadata, _VERSION_KEY: self.version}),
            },
        ).all()
        self._require(bool(stored))

    def save_writes(
        self, namespace: str, checkpoint_id: str, task_id: str, writes: list[tuple[int, str, str, bytes]]
    ) -> None:
        """Store the finished writes of one task of a step. Raises `LeaseLost`."""
        if not writes:
            return
        self._prepare()
        stored = self._single.execute(
            _SAVE_WRITES,
            {
                **self._scope,
                "namespace": namespace,
                "checkpoint_id": checkpoint_id,
                "task_id": task_id,
                "indexes": [index for index, _, _, _ in writes],
                "channels": [channel for _, channel, _, _ in writes],
                "kinds": [kind for _, _, kind, _ in writes],
                "bodies": [body for _, _, _, body in writes],
            },
        ).all()
        self._require(bool(stored))

    def load(self, namespace: str, checkpoint_id: str | None = None) -> StoredCheckpoint | None:
        """The named checkpoint with its writes, or the newest of `namespace`."""
        scope = {**self._read, "namespace": namespace, "id": checkpoint_id}
        with self._database.tenant(self._organization_id) as session:
            row = session.execute(_NAMED if checkpoint_id else _NEWEST, scope).one_or_none()
            return None if row is None else self._with_writes(session, row)

    def list(self, namespace: str | None, before: str | None, limit: int | None) -> Iterator[StoredCheckpoint]:
        """Checkpoints of the job, newest first."""
        scope = {**self._read, "namespace": namespace, "before": before, "limit": limit or _ALL}
        with self._database.tenant(self._organization_id) as session:
            found = [self._with_writes(session, row) for row in session.execute(_LIST, scope).all()]
        yield from found

    def _with_writes(self, session: Session, row: Row[Any]) -> StoredCheckpoint:
        scope = {"job_id": self._scope["job_id"], "namespace": row.namespace, "id": row.id}
        writes = tuple(tuple(line) for line in session.execute(_WRITES, scope))
        return StoredCheckpoint(row.namespace, row.id, row.parent_id, row.kind, row.body, row.metadata, writes)

    def _prepare(self) -> None:
        # A step must not be recorded as done before its cost is.
        if self._before_saving is not None:
            self._before_saving()

    def _require(self, stored: bool) -> None:
        if not stored:
            raise LeaseLost
        self.written = self._is_named = True
