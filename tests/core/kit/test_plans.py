"""The plans of the statements that run for every job and every search need no statistics of the tables they read.

A new system, a month's fresh partition and a new knowledge base have none until autovacuum comes by.
"""

import random
from collections.abc import Iterator, Mapping
from decimal import Decimal
from uuid import UUID

import psycopg
import pytest
from sqlalchemy import text

from core.capability import LeaseLost, StoredCheckpoint
from core.jobs import leases, queue, settlements
from core.jobs import repository as jobs
from core.jobs.checkpoints import JobCheckpoints
from core.jobs.records import Event, JobFilter
from core.jobs.states import FAIL, SUCCEED, Transition
from core.jobs.trail import actor_parameters
from core.kit.clock import utc_now
from core.kit.data_classes import DataClass
from core.kit.settings import Settings
from core.knowledge import retrieval
from core.knowledge.records import NewChunk
from core.knowledge.service import KnowledgeService
from core.ledger import repository as ledger
from core.ledger.records import CallIdentity, Settlement
from tests.factories.jobs import Tenant, new_tenant
from tests.factories.plans import Access, Statement, accesses, driver_text, executed, statements_of
from tests.factories.services import drop_database, new_database
from tests.factories.waiting import wait_until

pytestmark = pytest.mark.own_database

HOT = (queue, leases, jobs, settlements, ledger, retrieval)
# Not run for a job or a search: at a correction, and when the broker lost what it held.
RARE = {"core.ledger.repository._CORRECT", "core.jobs.queue._UNMARK_POOL"}
TENANTS, JOBS_EACH, CHUNKS_EACH = 3, 100, 120
LARGE = 100
MONTH = utc_now().strftime("%Y%m")
EXPECTED = {"chunks", "knowledge_terms", "reservations"} | {
    f"{table}_{MONTH}" for table in ("jobs", "job_events", "ledger_entries")
}


class Life:
    """Several tenants' jobs in every state, and knowledge bases, made and read by the product's own functions."""

    def __init__(self, settings: Settings) -> None:
        self.tenants = [new_tenant(settings) for _ in range(TENANTS)]
        self.database = self.tenants[0].database
        self.system = self.database.single_system()

    def close(self) -> None:
        for tenant in self.tenants:
            tenant.close()

    def run(self) -> None:
        """Once through everything."""
        for tenant in self.tenants:
            for _ in range(JOBS_EACH):
                tenant.submit(reserve_usd=Decimal("0.01"))
        self.dispatch()
        self.execute()
        self.sweep()
        for tenant in self.tenants:
            self.read(tenant)
            self.search(tenant)

    def dispatch(self) -> None:
        """Rounds of the dispatcher."""
        for _ in range(3):
            queue.pools_with_due(self.system, ["probe"])
            with self.database.hot_system() as transaction:
                queue.open_round(transaction, with_limits=True)
                due = queue.due(transaction, "probe", 20)
                queue.mark(transaction.closing(), [job.id for job in due])

    def execute(self) -> None:
        """Attempts that end well, badly or not yet."""
        of_tenant = {job_id: tenant for tenant in self.tenants for job_id in tenant.submitted}
        dispatched = queue.unclaimed(self.system, "probe", -60)
        for number, job_id in enumerate(dispatched[:150]):
            claim = leases.claim(self.system, job_id, "worker", 60)
            assert claim is not None
            self.attempt(of_tenant[job_id], job_id, claim.event_id, claim.event_limit, number)
        leases.pool_if_lost(self.system, dispatched[-1])
        with self.database.system() as session:
            queue.unmark_dispatched(session, dispatched[-10:])

    def attempt(self, tenant: Tenant, job_id: UUID, last: int, limit: int, number: int) -> None:
        """One attempt of a job: a model call, events, and every third is left running."""
        single = self.database.single_tenant(tenant.principal.organization_id)
        leases.renew(self.system, [(job_id, 1)], 60)
        leases.more_event_ids(single, job_id, 1)
        jobs.caller_of(single, job_id)
        checkpoints = JobCheckpoints(self.database, job_id, tenant.principal.organization_id, 1)
        checkpoints.name_version()
        checkpoints.save(StoredCheckpoint("", "1", None, "json", b"{}", {}))
        assert checkpoints.begun_with() == 1
        assert checkpoints.load("") is not None
        call = CallIdentity(job_id, 1, 1)
        bound = Decimal("0.001")
        ledger.begin_call(single, call, bound_usd=bound, provider="local", model="m", version=None, step=None)
        classified = Event(job_id, last + 1, last, leases.CLASSIFIED, 1, {}, utc_now())
        leases.classify(single, classified, DataClass.CONFIDENTIAL, "guard")
        event = Event(job_id, last + 2, last + 1, "cost.updated", 1, {}, utc_now())
        if number % 2:
            settlements.settle_call(single, call, Settlement(), {}, event)
        else:
            leases.persist_events(single, job_id, 1, [event])
            ledger.settle_call(single, call, Settlement(), {})
        if number % 3:
            rule: Transition = SUCCEED if number % 3 == 1 else FAIL
            end = Event(job_id, limit + 1, last + 2, f"job.{rule.target}", 1, {}, utc_now())
            leases.end(single, rule, end, reason=None if rule is SUCCEED else "error")
            with self.database.tenant(tenant.principal.organization_id) as session:
                leases.delete_checkpoints(session, job_id)
                leases.resume(session, job_id, "budget", actor_parameters(tenant.principal))
            with pytest.raises(LeaseLost):
                leases.more_event_ids(single, job_id, 1)

    def sweep(self) -> None:
        """What the dispatcher does beside dispatching."""
        queue.pools_to_sweep(self.system, ["probe"], 5.0)
        with self.database.system() as session:
            queue.sweep(session, "probe")
            queue.stop_orphans(session, "probe")
            queue.depths(session)
            queue.delete_idempotency_keys(session)
            ledger.release_ended(session, 100)
        ledger.any_open_longer(self.system, 60)
        ledger.sweep(self.system, 60, 100)
        ledger.lost_calls(self.system, 60, 100)

    def read(self, tenant: Tenant) -> None:
        """What clients ask for."""
        single = self.database.single_tenant(tenant.principal.organization_id)
        idle, busy = tenant.submitted[-1], tenant.submitted[0]
        tenant.job(busy)
        tenant.result(busy)
        tenant.events(busy)
        tenant.service.list(single, tenant.principal, JobFilter(), cursor=None, limit=20)
        tenant.cancel(idle)
        with self.database.tenant(tenant.principal.organization_id) as session:
            jobs.ask_to_stop(session, tenant.principal, [busy])
        ledger.entries(single, tenant.principal, busy)

    def search(self, tenant: Tenant) -> None:
        """Fill a knowledge base as an ingest does, and search it."""
        service, principal, picker = KnowledgeService(), tenant.principal, random.Random(7)
        with self.database.tenant(principal.organization_id) as session:
            base = service.create_base(session, principal, "handbook")
            document = service.put_document(
                session, principal, base.id, name="a", content_type="text/plain", size_bytes=1, sha256="a", blob_key="a"
            )
        words = [f"word{number}" for number in range(400)]
        texts = [" ".join(picker.choices(words, k=40)) + f" {number}" for number in range(CHUNKS_EACH)]
        chunks = [
            NewChunk(at, None, None, 0, len(each), each, each, each, unit(picker)) for at, each in enumerate(texts)
        ]
        with self.database.tenant(principal.organization_id) as session:
            service.store_chunks(session, principal, document, chunks, ingested="a", pages=None)
        with self.database.tenant(principal.organization_id) as session:
            base = service.get_base(session, principal, base.id)
            service.search(session, base, "word1 word17 word250", unit(picker), 8)
            retrieval.dense_scores(session, base, unit(picker), exact=False)


def unit(picker: random.Random) -> list[float]:
    vector = [picker.gauss(0, 1) for _ in range(384)]
    length = sum(each * each for each in vector) ** 0.5
    return [each / length for each in vector]


def keep_autovacuum_away(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        tables = connection.execute(
            "SELECT oid::regclass::text FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
        ).fetchall()
        for (table,) in tables:
            connection.execute(f"ALTER TABLE {table} SET (autovacuum_enabled = off)")


@pytest.fixture
def life(settings: Settings, database_url: str) -> Iterator[Life]:
    keep_autovacuum_away(database_url)
    made = Life(settings)
    yield made
    made.close()


def plans_of(url: str, statements: Mapping[str, Statement]) -> dict[str, set[Access]]:
    with psycopg.connect(url) as connection:
        return {name: accesses(connection, each) for name, each in statements.items()}


def large_tables(url: str) -> dict[str, int]:
    """The tables that hold many rows by now, with how often each was read whole."""
    with psycopg.connect(url, autocommit=True) as connection:
        found = connection.execute(
            f"SELECT relname, seq_scan FROM pg_stat_user_tables WHERE n_live_tup >= {LARGE}"
        ).fetchall()
        return dict(found)


def test_no_hot_statement_needs_statistics(
    life: Life, database_url: str, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Plans with empty tables, with filled ones that nothing has analyzed, and after ANALYZE."""
    with executed(monkeypatch) as found:
        life.run()
    names = {driver_text(each): name for name, each in statements_of(*HOT).items()}
    assert {name for sql, name in names.items() if sql not in {seen for seen, _ in found}} == RARE
    hot = {f"{names[sql]}, {each.role}": each for (sql, _), each in found.items() if sql in names}

    # What triggers and functions execute shows in no plan. A server process counts when it ends.
    life.close()
    wait_until(lambda: set(large_tables(database_url)) >= EXPECTED, timeout_seconds=30, what="the counts")
    assert {table: scans for table, scans in large_tables(database_url).items() if scans} == {}

    empty_url = new_database(postgres_url)
    empty = plans_of(empty_url, hot)
    drop_database(postgres_url, empty_url)
    fresh = plans_of(database_url, hot)
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("ANALYZE")
    analyzed = plans_of(database_url, hot)

    large = large_tables(database_url).keys()
    worse = [
        f"{name}, {when}: {access}"
        for when, plans in (("with empty tables", empty), ("before the first ANALYZE", fresh))
        for name in sorted(hot)
        for access in sorted(plans[name])
        if access.relation in large and access.reads_all
        if access.relation not in {each.relation for each in analyzed[name] if each.reads_all}
    ]
    assert worse == []


def test_the_sweep_that_stops_jobs_reads_no_backlog(settings: Settings) -> None:
    tenant = new_tenant(settings)
    with tenant.database.system() as session:
        session.execute(
            text(
                "INSERT INTO jobs (id, organization_id, project_id, capability, pool, state, priority)"
                " SELECT uuidv7(), :organization, :project, 'probe.act', 'backlog', 'queued', 1"
                " FROM generate_series(1, 20000)"
            ),
            {"organization": tenant.principal.organization_id, "project": tenant.principal.project_id},
        )
        explained = session.execute(text(f"EXPLAIN (ANALYZE, BUFFERS) {queue._STOP}"), {"pool": "backlog"}).scalars()
        plan = "\n".join(explained)
    tenant.close()
    # Whatever the planner chooses, it removes no job of the backlog one by one.
    assert "Rows Removed by Filter" not in plan, plan
