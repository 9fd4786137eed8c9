"""What a process remembers of the database: young enough, asked for once, and renewed beside whoever uses it."""

import threading
from collections.abc import Iterator
from time import sleep
from uuid import uuid4

import pytest
from sqlalchemy import text

from core.kit.db import Executor
from core.kit.memory import Memory
from core.kit.settings import Settings
from tests.factories.jobs import Tenant, new_tenant
from tests.factories.waiting import wait_until

LIFE_SECONDS = 0.5


@pytest.fixture
def tenant(settings: Settings) -> Iterator[Tenant]:
    made = new_tenant(settings)
    yield made
    made.close()


class Reader:
    """Answers with how often it was asked, and knows which threads asked."""

    def __init__(self) -> None:
        self.threads: list[str] = []

    def __call__(self, executor: Executor) -> int:
        executor.execute(text("SELECT 1"), {})
        self.threads.append(threading.current_thread().name)
        return len(self.threads)


def test_a_key_in_use_is_renewed_in_the_background_and_never_waited_for(tenant: Tenant) -> None:
    memory: Memory[str, int] = Memory(LIFE_SECONDS, entries_max=10)
    read, executor = Reader(), tenant.database.single_tenant(tenant.principal.organization_id)
    assert memory.get(executor, "a", read).value == 1

    def renewed() -> bool:
        return memory.get(executor, "a", read).value >= 3

    wait_until(renewed, timeout_seconds=10, what="two renewals")
    asked_here = [name for name in read.threads if name == threading.current_thread().name]
    # A machine that stood still for the whole of a life makes the caller ask; then every answer is still a young one.
    assert len(asked_here) < len(read.threads)


def test_an_unused_key_is_asked_for_again_when_its_life_is_over(tenant: Tenant) -> None:
    memory: Memory[str, int] = Memory(0.05, entries_max=10)
    read, executor = Reader(), tenant.database.single_tenant(tenant.principal.organization_id)
    memory.get(executor, "a", read)
    sleep(0.06)
    assert memory.get(executor, "a", read).value == 2
    assert set(read.threads) == {threading.current_thread().name}


def test_what_was_being_asked_when_all_was_evicted_is_not_kept(tenant: Tenant) -> None:
    memory: Memory[str, str] = Memory(60, entries_max=10)
    executor = tenant.database.single_tenant(tenant.principal.organization_id)

    def old(_: Executor) -> str:
        memory.evict()
        return "old"

    assert memory.get(executor, "a", old).value == "old"
    assert memory.get(executor, "a", lambda _: "new").value == "new"


def test_a_session_is_never_used_in_another_thread(tenant: Tenant) -> None:
    memory: Memory[str, int] = Memory(LIFE_SECONDS, entries_max=10)
    read = Reader()
    with tenant.database.tenant(tenant.principal.organization_id) as session:
        for _ in range(8):
            memory.get(session, "a", read)
            sleep(LIFE_SECONDS / 4)
    assert set(read.threads) == {threading.current_thread().name}


def test_the_number_of_answers_is_bounded(tenant: Tenant) -> None:
    memory: Memory[object, int] = Memory(60, entries_max=3)
    read, executor = Reader(), tenant.database.single_tenant(tenant.principal.organization_id)
    first = uuid4()
    memory.get(executor, first, read)
    for _ in range(3):
        memory.get(executor, uuid4(), read)
    assert memory.get(executor, first, read).value == 5


def test_a_background_task_that_fails_stops_none_behind_it(tenant: Tenant) -> None:
    done = threading.Event()

    def fail() -> None:
        raise ValueError

    tenant.database.in_background(fail)
    tenant.database.in_background(done.set)
    assert done.wait(10)
