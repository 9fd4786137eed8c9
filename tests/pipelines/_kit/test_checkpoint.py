import asyncio
import sys
import warnings
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from typing import Any

import pytest
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import BaseCheckpointSaver, CheckpointTuple, empty_checkpoint
from langgraph.checkpoint.conformance import checkpointer_test, validate

from core.capability import LeaseLost
from core.kit.errors import Unstorable
from pipelines._kit.checkpoint import JobCheckpointSaver
from tests.factories.context import Checkpoints


class Exploit:
    """An object whose reconstruction would run code."""

    ran = False

    def __init__(self, text: str) -> None:
        type(self).ran = True
        self.text = text

    def __reduce__(self) -> tuple[Any, ...]:
        return Exploit, (self.text,)


class ManyJobs(BaseCheckpointSaver[int]):
    """The asynchronous view that LangGraph's own conformance suite asks for: one saver per thread id."""

    def __init__(self) -> None:
        super().__init__()
        self._savers: dict[str, JobCheckpointSaver] = {}

    def _of(self, config: RunnableConfig) -> JobCheckpointSaver:
        thread = config["configurable"]["thread_id"]
        return self._savers.setdefault(thread, JobCheckpointSaver(Checkpoints()))

    async def aput(self, config: RunnableConfig, checkpoint: Any, metadata: Any, new_versions: Any) -> RunnableConfig:
        return self._of(config).put(config, checkpoint, metadata, new_versions)

    async def aput_writes(
        self, config: RunnableConfig, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = ""
    ) -> None:
        self._of(config).put_writes(config, writes, task_id, task_path)

    async def aget_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        return self._of(config).get_tuple(config)

    async def alist(self, config: RunnableConfig | None, **narrowing: Any) -> AsyncIterator[CheckpointTuple]:
        found: Iterator[CheckpointTuple]
        if config is None:
            found = (each for saver in self._savers.values() for each in saver.list(None, **narrowing))
        else:
            found = self._of(config).list(config, **narrowing)
        for each in found:
            yield each


def test_langgraphs_own_conformance_suite_passes() -> None:
    @checkpointer_test(name="JobCheckpointSaver")
    async def savers() -> AsyncGenerator[ManyJobs, None]:
        yield ManyJobs()

    report = asyncio.run(validate(savers, capabilities={"put", "put_writes", "get_tuple", "list"}))

    offered = {name: result for name, result in report.results.items() if result.detected}
    assert set(offered) == {"put", "put_writes", "get_tuple", "list"}
    assert {name: result.failures for name, result in offered.items() if not result.passed} == {}
    assert sum(result.tests_passed for result in offered.values()) > 40


def saver_with_checkpoint() -> tuple[Checkpoints, JobCheckpointSaver, RunnableConfig]:
    store = Checkpoints()
    saver = JobCheckpointSaver(store)
    config = saver.put(
        {"configurable": {"thread_id": "job", "checkpoint_ns": ""}}, empty_checkpoint(), {"source": "input"}, {}
    )
    return store, saver, config


def test_writes_of_parallel_tasks_come_back_in_the_order_of_their_paths() -> None:
    _, saver, config = saver_with_checkpoint()
    saver.put_writes(config, [("seen", "second"), ("seen", "third")], "a-task", "~pull, b")
    saver.put_writes(config, [("seen", "first")], "z-task", "~pull, a")

    found = saver.get_tuple(config)

    assert found is not None
    assert [value for _, _, value in found.pending_writes or []] == ["first", "second", "third"]


def test_what_is_read_back_runs_no_code() -> None:
    store, saver, config = saver_with_checkpoint()
    saver.put_writes(config, [("seen", {"fine": 1})], "task")
    forged = b"\xc7" + bytes([len(payload := _packed_call()), 0]) + payload
    ((namespace, checkpoint_id),) = store.saved
    store.save_writes(namespace, checkpoint_id, "task", [(1, "seen", "msgpack", forged)])

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = saver.get_tuple(config)

    assert found is not None
    assert not Exploit.ran
    assert (found.pending_writes or [])[0][2] == {"fine": 1}


def test_pickle_is_neither_written_nor_read() -> None:
    store, saver, config = saver_with_checkpoint()

    with pytest.raises(Unstorable):
        saver.put_writes(config, [("seen", Exploit("x"))], "task")
    ((namespace, checkpoint_id),) = store.saved
    store.save_writes(namespace, checkpoint_id, "task", [(0, "seen", "pickle", b"\x80\x04N.")])
    with pytest.raises(NotImplementedError):
        saver.get_tuple(config)


def test_a_lost_lease_passes_through() -> None:
    store, saver, config = saver_with_checkpoint()
    store.lost = True

    with pytest.raises(LeaseLost):
        saver.put(config, empty_checkpoint(), {"source": "loop"}, {})
    with pytest.raises(LeaseLost):
        saver.put_writes(config, [("seen", 1)], "task")


def _packed_call() -> bytes:
    import ormsgpack

    return ormsgpack.packb((__name__ if __name__ in sys.modules else "tests", "Exploit", "x"))
