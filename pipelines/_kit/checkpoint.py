"""LangGraph's checkpoints in the job's own store, so that the next attempt continues after the last finished step.

State is written as msgpack by LangGraph's serializer, without pickle, and read back with its strict allowlist, so write
access to the database does not lead to code execution here. A type outside the allowlist comes back as its plain data,
so graphs keep plain data in their state.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import (
    WRITES_IDX_MAP,
    BaseCheckpointSaver,
    ChannelVersions,
    Checkpoint,
    CheckpointMetadata,
    CheckpointTuple,
    get_serializable_checkpoint_metadata,
    writes_sort_key,
)
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer

from core.capability import CheckpointStore, StoredCheckpoint
from core.kit.errors import Unstorable

# The path of a task inside its step, which orders the writes of parallel tasks, follows the serializer's name.
_PATH_MARK = " "


class JobCheckpointSaver(BaseCheckpointSaver[int]):
    """A `BaseCheckpointSaver` over the `CheckpointStore` of one job; every thread id means this job.

    Errors of the store pass through, `core.capability.LeaseLost` included. Checkpoints are deleted by the platform when
    the job ends, so the methods that delete or copy threads are not offered. `is_empty` means that nothing was stored
    yet, which saves a query.
    """

    def __init__(self, store: CheckpointStore, *, is_empty: bool = False) -> None:
        super().__init__(serde=JsonPlusSerializer(pickle_fallback=False, allowed_msgpack_modules=None))
        self._store = store
        self._is_empty = is_empty

    def get_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        """The checkpoint that `config` names, or the newest of its namespace; None when there is none."""
        if self._is_empty:
            return None
        where = _configurable(config)
        stored = self._store.load(where.get("checkpoint_ns", ""), where.get("checkpoint_id"))
        return None if stored is None else self._read(stored, where.get("thread_id"))

    def list(
        self,
        config: RunnableConfig | None,
        *,
        filter: dict[str, Any] | None = None,  # noqa: A002 - LangGraph's name
        before: RunnableConfig | None = None,
        limit: int | None = None,
    ) -> Iterator[CheckpointTuple]:
        """Checkpoints, newest first, whose metadata holds every item of `filter`."""
        where = _configurable(config)
        oldest_unwanted = _configurable(before).get("checkpoint_id")
        wanted = where.get("checkpoint_id")
        narrowed = bool(filter or wanted)
        found = 0
        for stored in self._store.list(where.get("checkpoint_ns"), oldest_unwanted, None if narrowed else limit):
            if limit is not None and found >= limit:
                return
            if wanted and stored.id != wanted:
                continue
            if any(stored.metadata.get(name) != value for name, value in (filter or {}).items()):
                continue
            found += 1
            yield self._read(stored, where.get("thread_id"))

    def put(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,  # noqa: ARG002 - every checkpoint is stored whole
    ) -> RunnableConfig:
        """Store a checkpoint; returns the config that names it. Raises `core.capability.LeaseLost`."""
        where = _configurable(config)
        self._is_empty = False
        kind, body = self._dump(checkpoint)
        namespace = where.get("checkpoint_ns", "")
        self._store.save(
            StoredCheckpoint(
                namespace=namespace,
                id=checkpoint["id"],
                parent_id=where.get("checkpoint_id"),
                kind=kind,
                body=body,
                metadata=cast("Mapping[str, Any]", get_serializable_checkpoint_metadata(config, metadata)),
            )
        )
        return _address(where.get("thread_id"), namespace, checkpoint["id"])

    def put_writes(
        self, config: RunnableConfig, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = ""
    ) -> None:
        """Store the writes of one task of a step until the step's checkpoint. Raises `core.capability.LeaseLost`."""
        where = _configurable(config)
        lines: list[tuple[int, str, str, bytes]] = []
        for index, (channel, value) in enumerate(writes):
            kind, body = self._dump(value)
            marked = f"{kind}{_PATH_MARK}{task_path}" if task_path else kind
            lines.append((WRITES_IDX_MAP.get(channel, index), channel, marked, body))
        self._store.save_writes(where.get("checkpoint_ns", ""), where["checkpoint_id"], task_id, lines)

    def _dump(self, value: Any) -> tuple[str, bytes]:
        try:
            return self.serde.dumps_typed(value)
        except (TypeError, ValueError) as error:
            # Integers above 64 bits and foreign types; the next attempt would fail in the same way, and pay again.
            raise Unstorable(f"the state of a step cannot be stored ({type(error).__name__})") from error

    def _read(self, stored: StoredCheckpoint, thread_id: str | None) -> CheckpointTuple:
        ordered = []
        for task_id, index, channel, marked, body in stored.writes:
            kind, _, path = marked.partition(_PATH_MARK)
            ordered.append((writes_sort_key(path, task_id, index), task_id, channel, (kind, body)))
        ordered.sort(key=lambda line: line[0])
        return CheckpointTuple(
            config=_address(thread_id, stored.namespace, stored.id),
            checkpoint=self.serde.loads_typed((stored.kind, stored.body)),
            metadata=cast("CheckpointMetadata", dict(stored.metadata)),
            parent_config=_address(thread_id, stored.namespace, stored.parent_id) if stored.parent_id else None,
            pending_writes=[(task, channel, self.serde.loads_typed(value)) for _, task, channel, value in ordered],
        )


def _configurable(config: RunnableConfig | None) -> dict[str, Any]:
    return (config or {}).get("configurable", {})


def _address(thread_id: str | None, namespace: str, checkpoint_id: str) -> RunnableConfig:
    return {"configurable": {"thread_id": thread_id, "checkpoint_ns": namespace, "checkpoint_id": checkpoint_id}}
