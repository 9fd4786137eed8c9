"""What is written behind a call is written before anything that comes after it."""

import threading
from collections.abc import Callable, Iterator

import pytest
from sqlalchemy import event, text

from core.capability import LeaseLost, ModelUsage, StoredCheckpoint
from core.kit.ids import JOB, encode
from core.kit.settings import Settings
from tests.factories.attempts import Attempt, attempt
from tests.factories.jobs import Tenant, new_tenant
from tests.factories.waiting import wait_until
from workers.settlements import Settlements, SettlementWriter


@pytest.fixture
def tenant(settings: Settings) -> Iterator[Tenant]:
    made = new_tenant(settings)
    yield made
    made.close()


@pytest.fixture
def job(settings: Settings, tenant: Tenant) -> Iterator[Attempt]:
    with attempt(settings, encode(JOB, tenant.submit())) as driven:
        yield driven


@pytest.fixture
def settlements() -> Iterator[Settlements]:
    writer = SettlementWriter()
    yield Settlements(writer)
    writer.close()


def call(job: Attempt) -> None:
    with job.context.call_model("main", {"input_tokens": 5}) as opened:
        opened.report(ModelUsage("main", {"input_tokens": 5}))


def settled(job: Attempt) -> int:
    """How many calls the ledger has as settled, seen from another transaction."""
    context = job.context
    with context._database.system() as session:
        found = session.execute(
            text("SELECT count(*) FROM ledger_entries WHERE job_id = :job AND entry = 1"), {"job": context.job_id}
        )
        return int(found.scalar_one())


class Gate:
    """Lets no settlement reach Postgres until it is opened."""

    def __init__(self, job: Attempt) -> None:
        self._open = threading.Event()
        # The engine is the attempt's own, and goes with it.
        event.listen(job.context._database.engine, "checkout", self._hold)

    def open(self) -> None:
        """Let them through."""
        self._open.set()

    def _hold(self, *_: object) -> None:
        if threading.current_thread().name.startswith("settlement"):
            assert self._open.wait(30)


def step(job: Attempt) -> None:
    with job.context.step("look"):
        pass


def transaction(job: Attempt) -> None:
    with job.context.transaction() as session:
        session.execute(text("SELECT 1"))


AFTERWARDS: dict[str, Callable[[Attempt], object]] = {
    "a call": call,
    "an event": lambda job: job.context.emit("note.taken", {}),
    "a step": step,
    "progress": lambda job: job.context.progress(1, 2),
    "a transaction": transaction,
    "a checkpoint": lambda job: job.context.checkpoints().save(
        StoredCheckpoint("", "1", None, "json", b"{}", {"step": 1})
    ),
    "a step's writes": lambda job: job.context.checkpoints().save_writes("", "1", "task", [(0, "c", "json", b"1")]),
    "success": lambda job: job.succeed(answer="yes"),
    "another attempt": lambda job: job.requeue(),
}


@pytest.mark.parametrize("name", AFTERWARDS)
def test_what_comes_after_a_call_waits_for_its_settlement(job: Attempt, name: str) -> None:
    gate = Gate(job)
    call(job)
    assert settled(job) == 0, "the caller does not wait"
    seen: list[int] = []
    ended = threading.Event()

    def go_on() -> None:
        AFTERWARDS[name](job)
        seen.append(settled(job))
        ended.set()

    threading.Thread(target=go_on, daemon=True).start()
    assert not ended.wait(0.2), f"{name} did not wait"
    gate.open()
    assert ended.wait(30)
    assert seen[0] >= 1


class MeetsACall:
    """The lock of an attempt's events; once it is taken, another thread of the attempt ends a call."""

    def __init__(self, job: Attempt) -> None:
        self._lock = job.context._events_lock
        self._job = job
        self._met = False

    def __enter__(self) -> None:
        self._lock.acquire()
        if not self._met:
            self._met = True
            other = threading.Thread(target=call, args=(self._job,))
            other.start()
            other.join()

    def __exit__(self, *_: object) -> None:
        self._lock.release()


@pytest.mark.parametrize("name", ["kept events", "the end"])
def test_a_call_that_ends_while_something_is_kept_holds_no_one_up(job: Attempt, name: str) -> None:
    context = job.context
    # An end with checkpoints takes a transaction, as kept events do.
    context.checkpoints().save(StoredCheckpoint("", "1", None, "json", b"{}", {"step": 1}))
    context._events_lock = MeetsACall(job)  # type: ignore[assignment]
    ended = threading.Event()

    def keep() -> None:
        if name == "the end":
            job.succeed(answer="yes")
        else:
            with context.persisting() as (_, persist_event):
                persist_event("note.taken", {})
        ended.set()

    threading.Thread(target=keep, daemon=True).start()
    assert ended.wait(30), "they wait for each other"
    wait_until(lambda: settled(job) == 1, timeout_seconds=30, what="the settlement")


def test_a_call_that_failed_is_settled_before_its_error_goes_on(job: Attempt) -> None:
    with pytest.raises(ValueError, match="lost"), job.context.call_model("main", {"input_tokens": 5}):
        raise ValueError("lost")
    assert settled(job) == 1


def test_a_lease_that_was_lost_meanwhile_is_said_at_the_next_wait_and_the_call_is_paid(job: Attempt) -> None:
    gate = Gate(job)
    call(job)
    with job.context._database.system() as session:
        session.execute(text("UPDATE jobs SET attempt = attempt + 1 WHERE id = :job"), {"job": job.context.job_id})
    gate.open()
    with pytest.raises(LeaseLost):
        job.context.wait_settled()
    assert settled(job) == 1


def test_the_first_error_is_raised_once_all_have_ended(settlements: Settlements) -> None:
    go_on, written = threading.Event(), []

    def fail() -> None:
        raise ConnectionError("away")

    def write() -> None:
        assert go_on.wait(30)
        written.append(1)

    settlements.write_behind(fail)
    settlements.write_behind(write)
    threading.Timer(0.1, go_on.set).start()
    with pytest.raises(ConnectionError, match="away"):
        settlements.wait()
    assert written == [1]
    settlements.wait()


def test_two_who_wait_both_wait(settlements: Settlements) -> None:
    go_on = threading.Event()
    settlements.write_behind(lambda: None if go_on.wait(30) else pytest.fail("nobody opened"))
    ended = [threading.Event(), threading.Event()]

    def wait(ended: threading.Event) -> None:
        settlements.wait()
        ended.set()

    for each in ended:
        threading.Thread(target=wait, args=(each,), daemon=True).start()
    assert not any(each.wait(0.1) for each in ended)
    go_on.set()
    assert all(each.wait(30) for each in ended)


def test_nothing_on_its_way_is_nothing_to_wait_for(settlements: Settlements) -> None:
    settlements.wait()
