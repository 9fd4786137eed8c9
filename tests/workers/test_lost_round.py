"""What a crash of Postgres takes back of a round of the dispatcher is handed out again, and runs once."""

from pathlib import Path

from pydantic import SecretStr
from sqlalchemy import text

from core.jobs import leases
from core.kit.db import Database
from core.kit.migrate import upgrade
from core.kit.redis import connect
from core.kit.settings import Settings
from tests.factories.jobs import Tenant, new_tenant
from waybill.stack.postgres import EmbeddedPostgres
from workers.broker import Broker
from workers.dispatcher import PoolDispatcher

JOBS = 5


def hand_out(settings: Settings, tenant: Tenant, broker: Broker, database: Database) -> None:
    dispatcher = PoolDispatcher("probe", database, broker, tenant.publisher, settings)
    assert dispatcher.dispatch(JOBS) == JOBS


def test_a_round_that_postgres_lost_runs_every_job_once(settings: Settings, tmp_path: Path) -> None:
    # So long the log of a commit that nobody waits for stays in memory.
    postgres = EmbeddedPostgres(tmp_path / "postgres", settings={"wal_writer_delay": "10s"})
    postgres.start()
    upgrade(postgres.url)
    settings = settings.model_copy(update={"database_url": SecretStr(postgres.url)})
    client = connect(settings)
    broker = Broker(settings, client)
    tenant = new_tenant(settings)
    jobs = {tenant.submit() for _ in range(JOBS)}
    database = Database(settings, application_name="test", pool_size=1)
    hand_out(settings, tenant, broker, database)
    postgres.kill()
    database.close()
    tenant.close()

    postgres.start()
    database = Database(settings, application_name="test", pool_size=1)
    single = database.single_system()
    lost = text("SELECT id FROM jobs WHERE state = 'queued' AND dispatched_at IS NULL")
    assert set(single.execute(lost, {}).scalars()) == jobs
    assert broker.queued_ids("probe") == jobs
    assert [leases.claim(single, job_id, "worker", 60) for job_id in jobs] == [None] * JOBS

    hand_out(settings, tenant, broker, database)
    first = [leases.claim(single, job_id, "worker", 60) for job_id in jobs]
    assert [claim and claim.job.attempt for claim in first] == [1] * JOBS
    # The messages of both rounds are there.
    assert [leases.claim(single, job_id, "worker", 60) for job_id in jobs] == [None] * JOBS
    database.close()
    broker.close()
    client.close()
    postgres.stop()
