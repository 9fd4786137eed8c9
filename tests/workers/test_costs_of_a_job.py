"""What each step of a job costs Postgres and Valkey is counted, and held to a budget. Nothing is timed.

On servers of this module's own, one step at a time, by the functions that the processes run. A statement, a row or a
command more on the way of every job turns these tests red. So does one less: then lower the budget.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from pydantic import SecretStr

from core.audit.sealer import seal_once
from core.guard.guard import open_guard
from core.jobs import leases, queue
from core.kit.blob.local import LocalBlobStore
from core.kit.db import Database
from core.kit.migrate import upgrade
from core.kit.processes import Process as Kind
from core.kit.processes import address_of, set_passwords
from core.kit.redis import connect
from core.kit.settings import Settings
from core.kit.signing import Signer, generate_seed
from core.ledger import service as ledger
from tests.bench.counters import Counters, Reading, spent
from tests.factories.api import RunningApi, principal_of, probe_capabilities, running_api
from tests.factories.jobs import Tenant, tenant_of
from tests.factories.services import PASSWORDS
from tests.factories.waiting import wait_until
from waybill.stack.postgres import EmbeddedPostgres
from waybill.stack.valkey import EmbeddedValkey
from workers.batches import BatchWorker
from workers.broker import Broker
from workers.dispatcher import PoolDispatcher
from workers.runtime import Runtime

JOBS = 20
DELTAS = 10
# Before anything is counted, so that statements are prepared and caches are filled.
WARM = 8
FLUSH = "SELECT pg_stat_force_next_flush()"
# The count itself, and rate limits: how many requests are decided in one call depends on when they come.
NOT_COUNTED = {"info", "ping", "eval", "evalsha", "get", "set", "time"}


@dataclass(frozen=True)
class Costs:
    """Of one step: statements with ``BEGIN``, the role and ``COMMIT``; updates of ``jobs``, and the heap-only ones.

    Lookups are scans of an index, for a statement, a trigger, a function or a constraint.
    """

    statements: float
    commits: float
    lookups: float
    inserted: float
    updated: float
    hot: float
    commands: float


@dataclass
class Stack:
    """What the three kinds of processes hold, in this one."""

    settings: Settings
    counters: Counters
    api: RunningApi
    tenant: Tenant
    runtime: Runtime
    dispatching: Database
    dispatcher: PoolDispatcher

    def count(self, work: Callable[[], None], database: Database, times: int = JOBS) -> Costs:
        """What `work`, which uses `database` alone, costs; of one of the `times` steps that it takes."""
        _flush(database)
        tables = self.counters.changes()
        calls, _ = self.counters.by_statement()
        commands = self.counters.by_command()
        work()
        done = _of_one(spent(calls, self.counters.by_statement()[0]), times)
        sent = _of_one(spent(commands, self.counters.by_command()), times)
        _flush(database)
        changed = spent(tables, self.counters.changes())
        scans = {name: count for name, count in changed.items() if name in {"jobs.scans", "jobs.scanned"} and count}
        assert not scans, "the month's jobs were read whole"
        return Costs(
            statements=sum(done.values()),
            commits=done.get("COMMIT", 0),
            lookups=round(sum(count for name, count in changed.items() if name.endswith(".lookups")) / times),
            inserted=sum(count for name, count in changed.items() if name.endswith(".inserted")) / times,
            updated=changed["jobs.updated"] / times,
            hot=changed["jobs.hot"] / times,
            commands=sum(count for name, count in sent.items() if name not in NOT_COUNTED),
        )

    def submitted(self, count: int = JOBS, act: str = "noop", **given: Any) -> list[UUID]:
        """New jobs, due."""
        return [self.tenant.submit(act, **given) for _ in range(count)]

    def dispatched(self, count: int = JOBS, act: str = "noop", **given: Any) -> list[UUID]:
        """New jobs, handed out."""
        jobs = self.submitted(count, act, **given)
        with self.tenant.database.system() as session:
            assert len(queue.mark(session, jobs)) == count
        return jobs


def _of_one(counted: Reading, times: int) -> dict[str, int]:
    """How often each is done for one step. What is done now and then, to renew a cache or signal activity, is not."""
    return {name: round(count / times) for name, count in counted.items()}


def _flush(database: Database) -> None:
    # Each connection that was used, also by a thread of the background.
    with ExitStack() as stack:
        for _ in range(max(1, database.engine.pool.checkedin())):  # type: ignore[attr-defined]
            connection = database.engine.raw_connection()
            stack.callback(connection.close)
            connection.cursor().execute(FLUSH)


@pytest.fixture(scope="module")
def settings_of_kind(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Settings]]:
    """Settings for each kind of process over servers that count; ``owner`` owns the database."""
    folder = tmp_path_factory.mktemp("counted")
    postgres = EmbeddedPostgres(
        folder / "postgres",
        settings={
            "shared_preload_libraries": "pg_stat_statements",
            "autovacuum": "off",
            "fsync": "off",
            "synchronous_commit": "off",
        },
    )
    valkey = EmbeddedValkey(folder / "valkey")
    postgres.start()
    valkey.start()
    upgrade(postgres.url)
    set_passwords(postgres.url, PASSWORDS)
    owner = Settings(
        home=folder,
        database_url=SecretStr(postgres.url),
        redis_url=SecretStr(valkey.url),
        secret_key=SecretStr("k" * 43),
        pseudonym_key=SecretStr("p" * 43),
        project_max_concurrent_jobs=1000,
        # No beat but those that are counted.
        heartbeat_seconds=3600.0,
        lease_seconds=7200.0,
    )
    made = {"owner": owner}
    for kind in (Kind.API, Kind.DISPATCHER, Kind.WORKER):
        assert kind.login is not None
        url = SecretStr(address_of(postgres.url, kind.login, PASSWORDS[kind.login]))
        made[kind.value] = owner.model_copy(update={"database_url": url})
    assert valkey.pid is not None
    yield made
    valkey.stop()
    postgres.stop()


@pytest.fixture(scope="module")
def stack(settings_of_kind: dict[str, Settings]) -> Iterator[Stack]:
    owner, working = settings_of_kind["owner"], settings_of_kind["worker"]
    assert owner.database_url is not None
    client = connect(owner)
    counters = Counters(owner.database_url.get_secret_value(), client, 1)
    dispatching = Database(settings_of_kind["dispatcher"], application_name="counted", pool_size=1)
    broker = Broker(owner, client)
    runtime = Runtime(working, open_guard(working), pool_size=1)
    with probe_capabilities(), running_api(settings_of_kind["api"]) as api:
        tenant = tenant_of(owner, principal_of(api.key))
        dispatcher = PoolDispatcher("probe", dispatching, broker, tenant.publisher, owner)
        yield Stack(owner, counters, api, tenant, runtime, dispatching, dispatcher)
        tenant.close()
    runtime._heartbeat.stop()
    for thread in runtime._heartbeat._threads:
        thread.join()
    runtime.services.settlements.close()
    runtime.redis.close()
    runtime.database.close()
    broker.close()
    dispatching.close()
    counters.close()
    client.close()


def execute_all(stack: Stack, jobs: list[UUID]) -> None:
    from workers.execute import execute

    for job_id in jobs:
        execute(stack.runtime, job_id)


def test_a_submission(stack: Stack) -> None:
    def submit(times: int) -> None:
        for _ in range(times):
            answer = client.post("/v1/jobs", json={"capability": "probe.act", "input": {"act": "noop"}})
            assert answer.status_code == 202, answer.text

    def counted() -> None:
        before = announced()
        # One after the other: what waits to be announced shares a hint.
        for number in range(1, JOBS + 1):
            submit(1)
            wait_until(partial(is_announced, before + number), timeout_seconds=30, what="its announcement")

    def is_announced(so_many: float) -> bool:
        return announced() == so_many

    def announced() -> float:
        return stack.counters.by_command().get("xadd", 0.0)

    with stack.api.client() as client:
        submit(WARM)
        costs = stack.count(counted, stack.api.runtime.database)
    assert costs == Costs(statements=4, commits=1, lookups=1, inserted=3, updated=0, hot=0, commands=4)


def test_a_round_that_finds_nothing(stack: Stack) -> None:
    single = stack.dispatching.single_system()

    def look() -> None:
        for _ in range(JOBS):
            queue.pools_with_due(single, ["other", "probe"])

    look()
    assert stack.count(look, stack.dispatching) == Costs(
        statements=4, commits=1, lookups=5, inserted=0, updated=0, hot=0, commands=0
    )


def test_a_round_that_hands_out_twenty(stack: Stack) -> None:
    for _ in range(WARM):
        stack.submitted(1)
        stack.dispatcher.dispatch(1000)
    stack.submitted()
    # The limits are read once a second; in this round they are.
    stack.dispatcher._concurrency_read = float("-inf")

    def dispatch() -> None:
        assert stack.dispatcher.dispatch(1000) == JOBS

    assert stack.count(dispatch, stack.dispatching, times=1) == Costs(
        statements=8, commits=1, lookups=45, inserted=0, updated=JOBS, hot=0, commands=JOBS
    )


def test_an_attempt_from_claim_to_end(stack: Stack) -> None:
    execute_all(stack, stack.dispatched(WARM))
    jobs = stack.dispatched()
    costs = stack.count(lambda: execute_all(stack, jobs), stack.runtime.database)
    assert costs == Costs(statements=8, commits=2, lookups=9, inserted=4, updated=2, hot=0, commands=7)


def test_a_kept_event(stack: Stack) -> None:
    """A step's beginning and its end, by their difference to an attempt without."""
    execute_all(stack, stack.dispatched(WARM, "stream"))
    plain, stepped = stack.dispatched(), stack.dispatched(JOBS, "stream")
    base = stack.count(lambda: execute_all(stack, plain), stack.runtime.database)
    costs = stack.count(lambda: execute_all(stack, stepped), stack.runtime.database)
    assert less(costs, base, 2) == Costs(statements=4, commits=1, lookups=2, inserted=1, updated=1, hot=1, commands=3)


def test_a_delta(stack: Stack) -> None:
    execute_all(stack, stack.dispatched(WARM, "stream", chunks=DELTAS))
    stepped, streamed = stack.dispatched(JOBS, "stream"), stack.dispatched(JOBS, "stream", chunks=DELTAS)
    base = stack.count(lambda: execute_all(stack, stepped), stack.runtime.database)
    costs = stack.count(lambda: execute_all(stack, streamed), stack.runtime.database)
    # The stream's expiry is renewed once, by the first of them.
    assert less(costs, base, DELTAS) == Costs(0, 0, 0, 0, 0, 0, commands=2 + 1 / DELTAS)


def test_a_renewal_of_twenty_leases(stack: Stack) -> None:
    single = stack.runtime.database.single_system()
    held = [(job_id, 1) for job_id in stack.dispatched()]
    for job_id, _ in held:
        assert leases.claim(single, job_id, "worker", 3600) is not None

    def renew() -> None:
        assert len(leases.renew(single, held, 3600)) == JOBS

    for _ in range(WARM):
        renew()
    # A page without room for one more version would take it elsewhere.
    stack.counters.vacuum()
    renew()
    costs = stack.count(renew, stack.runtime.database, times=1)
    assert costs == Costs(statements=4, commits=1, lookups=JOBS + 1, inserted=0, updated=JOBS, hot=JOBS, commands=0)


def test_looking_for_work_that_is_not_there(stack: Stack, tmp_path: Path) -> None:
    """What the loops of an idle dispatcher ask: one statement each, four with the transaction around it."""
    database, settings = stack.dispatching, stack.settings
    single, pools = database.single_system(), ["idle", "other"]
    signer = Signer.from_settings(settings.model_copy(update={"signing_key": SecretStr(generate_seed())}))
    while seal_once(database, signer):
        pass
    batches = BatchWorker(settings, database, LocalBlobStore(tmp_path), stack.tenant.publisher)
    looks: dict[str, Callable[[], object]] = {
        "due jobs": lambda: queue.pools_with_due(single, pools),
        "jobs to sweep": lambda: queue.pools_to_sweep(single, pools, settings.redispatch_after_seconds),
        "lost calls": lambda: ledger.sweep(database, settings.lease_seconds),
        "records to seal": lambda: seal_once(database, signer),
        "batches": batches.run_once,
    }
    for name, look in looks.items():
        look()
        assert not look(), name
        costs = stack.count(repeated(look), database)
        assert (name, costs.statements, costs.commits, costs.commands) == (name, 4, 1, 0)


def test_a_table_that_every_job_writes_has_no_more_indexes(stack: Stack) -> None:
    """Each index is written at every insertion, and at every update that is not heap-only."""
    rows = stack.counters.scalar(
        "SELECT json_object_agg(name, indexes) FROM (SELECT indrelid::regclass AS name, count(*) AS indexes"
        " FROM pg_index WHERE indrelid IN ('jobs'::regclass, 'job_events'::regclass, 'audit_inbox'::regclass)"
        " GROUP BY 1) AS counted"
    )
    assert rows == {"jobs": 12, "job_events": 3, "audit_inbox": 1}


def repeated(look: Callable[[], object]) -> Callable[[], None]:
    def work() -> None:
        for _ in range(JOBS):
            look()

    return work


def less(costs: Costs, base: Costs, times: int) -> Costs:
    """What is in `costs` beyond `base`, of one of `times`."""
    pairs = zip(vars(costs).values(), vars(base).values(), strict=True)
    return Costs(*(round((mine - theirs) / times, 6) for mine, theirs in pairs))
