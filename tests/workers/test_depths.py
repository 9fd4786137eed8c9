import json
import logging
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from prometheus_client import REGISTRY

from core.jobs import leases, queue
from core.kit.ids import JOB, encode
from core.kit.logging import configure_logging
from core.kit.processes import address_of
from core.kit.settings import Settings
from tests.factories.jobs import Tenant
from tests.factories.services import PASSWORDS
from workers.dispatcher import Dispatcher

pytestmark = pytest.mark.own_database


def reported() -> float:
    return REGISTRY.get_sample_value("waybill_queue_depth", {"pool": "probe", "state": "queued"}) or 0.0


def of_pool(metric: str) -> float | None:
    return REGISTRY.get_sample_value(metric, {"pool": "probe"})


@pytest.fixture
def dispatcher(settings: Settings) -> Iterator[Dispatcher]:
    made = Dispatcher(settings, ("probe",))
    yield made
    made._disown()
    made._broker.close()
    made._database.close()
    made._redis.close()


@pytest.fixture
def logged() -> Iterator[None]:
    """Lines go to standard error; what pytest listens with comes back afterwards."""
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    configure_logging(Settings(), service="test")
    yield
    root.handlers[:] = before
    root.setLevel(level)


def test_a_dispatcher_reports_the_queues_while_it_owns_them(dispatcher: Dispatcher, tenant: Tenant) -> None:
    tenant.submit()
    dispatcher._own_pools()
    dispatcher._statistics.read()
    assert reported() >= 1
    dispatcher._disown()
    assert reported() == 0


def test_a_dispatcher_reports_when_it_served_a_pool_and_the_slots_that_it_saw(dispatcher: Dispatcher) -> None:
    dispatcher._dispatch()
    assert of_pool("waybill_pool_round_timestamp_seconds") == 0
    dispatcher._broker.announce("probe", "worker-1", 3)
    dispatcher._own_pools()
    before = time.time()
    dispatcher._dispatch()
    assert (of_pool("waybill_pool_round_timestamp_seconds") or 0) >= before
    assert of_pool("waybill_pool_slots") == 3
    dispatcher._disown()
    assert of_pool("waybill_pool_slots") == 0


@pytest.mark.usefixtures("logged")
def test_a_job_that_is_taken_from_a_lost_worker_is_counted_and_named(
    dispatcher: Dispatcher, tenant: Tenant, capsys: pytest.CaptureFixture[str]
) -> None:
    job_id = tenant.submit()
    with tenant.database.system() as session:
        queue.mark_dispatched(session, [job_id])
    assert leases.claim(tenant.database.single_system(), job_id, "worker-1", -1.0)
    labels = {"pool": "probe", "outcome": "requeued", "reason": "worker_lost"}
    before = REGISTRY.get_sample_value("waybill_swept_jobs_total", labels) or 0.0
    dispatcher._pools["probe"].sweep()
    assert REGISTRY.get_sample_value("waybill_swept_jobs_total", labels) == before + 1
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    [swept] = [line for line in lines if line["event"] == "job_swept"]
    assert swept.items() >= {"job_id": encode(JOB, job_id), "outcome": "job.queued", "reason": "worker_lost"}.items()


def test_the_owners_connection_notices_a_server_that_vanished(dispatcher: Dispatcher) -> None:
    dispatcher._own_pools()
    assert dispatcher._owner is not None
    assert int(dispatcher._owner.info.get_parameters()["tcp_user_timeout"]) <= 10_000


def test_the_demand_is_what_is_due_and_what_runs(settings: Settings, tenant: Tenant) -> None:
    assert settings.database_url is not None
    url = address_of(settings.database_url.get_secret_value(), "waybill_scaler", PASSWORDS["waybill_scaler"])

    def demand() -> int:
        with psycopg.connect(url) as connection:
            row = connection.execute("SELECT waybill_pool_demand('probe')").fetchone()
            assert row is not None
            return int(row[0])

    before = demand()
    claimed, _, cancelled = (tenant.submit() for _ in range(3))
    tenant.submit(run_at=datetime.now(UTC) + timedelta(hours=1))
    tenant.cancel(cancelled)
    assert demand() == before + 2
    with tenant.database.system() as session:
        queue.mark_dispatched(session, [claimed])
    assert demand() == before + 2
    assert leases.claim(tenant.database.single_system(), claimed, "worker-1", 30.0)
    assert demand() == before + 2
