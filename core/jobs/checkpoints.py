"""Durable checkpoints of a job as bytes, fenced by the attempt. What is in them is the framework's business."""

from collections.abc import Callable, Iterator
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from core.capability import LeaseLost, StoredCheckpoint
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

_SELECT = "SELECT namespace, id, parent_id, kind, body, metadata FROM job_checkpoints WHERE job_id = :job_id"
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
    """Implements `core.capability.CheckpointStore` for one attempt."""

    def __init__(
        self,
        database: Database,
        job_id: UUID,
        organization_id: UUID,
        attempt: int,
        *,
        before_saving: Callable[[], None] | None = None,
    ) -> None:
        self._database = database
        self._single = database.single_tenant(organization_id)
        self._scope = {"job_id": job_id, "attempt": attempt}
        self._organization_id = organization_id
        self._before_saving = before_saving
        self.written = False

    def save(self, checkpoint: StoredCheckpoint) -> None:
        """Keep a checkpoint. Raises `LeaseLost`."""
        self._prepare()
        kept = self._single.execute(
            _SAVE,
            {
                **self._scope,
                "namespace": checkpoint.namespace,
                "id": checkpoint.id,
                "parent_id": checkpoint.parent_id,
                "kind": checkpoint.kind,
                "body": checkpoint.body,
                "metadata": dump(checkpoint.metadata),
            },
        ).all()
        self._require(bool(kept))

    def save_writes(
        self, namespace: str, checkpoint_id: str, task_id: str, writes: list[tuple[int, str, str, bytes]]
    ) -> None:
        """Keep the finished writes of one task of a step. Raises `LeaseLost`."""
        if not writes:
            return
        self._prepare()
        kept = self._single.execute(
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
        self._require(bool(kept))

    def load(self, namespace: str, checkpoint_id: str | None = None) -> StoredCheckpoint | None:
        """The named checkpoint with its writes, or the newest of `namespace`."""
        scope = {"job_id": self._scope["job_id"], "namespace": namespace, "id": checkpoint_id}
        with self._database.tenant(self._organization_id) as session:
            row = session.execute(_NAMED if checkpoint_id else _NEWEST, scope).one_or_none()
            return None if row is None else self._with_writes(session, row)

    def list(self, namespace: str | None, before: str | None, limit: int | None) -> Iterator[StoredCheckpoint]:
        """Checkpoints of the job, newest first."""
        scope = {"job_id": self._scope["job_id"], "namespace": namespace, "before": before, "limit": limit or _ALL}
        with self._database.tenant(self._organization_id) as session:
            found = [self._with_writes(session, row) for row in session.execute(_LIST, scope).all()]
        yield from found

    def _with_writes(self, session: Session, row: Row[Any]) -> StoredCheckpoint:
        scope = {"job_id": self._scope["job_id"], "namespace": row.namespace, "id": row.id}
        writes = tuple(tuple(line) for line in session.execute(_WRITES, scope))
        return StoredCheckpoint(row.namespace, row.id, row.parent_id, row.kind, row.body, row.metadata, writes)

    def _prepare(self) -> None:
        # A step must not be remembered as done before what it cost is.
        if self._before_saving is not None:
            self._before_saving()

    def _require(self, kept: bool) -> None:
        if not kept:
            raise LeaseLost
        self.written = True
