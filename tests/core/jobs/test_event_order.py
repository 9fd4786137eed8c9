"""The one order of events, where only the tables' owner can see it."""

from collections.abc import Iterator

import psycopg
import pytest

from core.kit.ids import JOB, encode
from core.kit.settings import Settings
from tests.factories.attempts import attempt
from tests.factories.jobs import new_tenant

pytestmark = pytest.mark.own_database

# What a server counted up to before its dump was restored into this one.
OLD_COUNT = 1 << 40


@pytest.fixture
def owner(settings: Settings) -> Iterator[psycopg.Connection]:
    """A connection as the tables' owner, whose changes are never kept."""
    assert settings.database_url is not None
    with psycopg.connect(settings.database_url.get_secret_value()) as connection:
        yield connection
        connection.rollback()


def test_after_a_dump_was_restored_new_events_come_above_the_old_ones(
    settings: Settings, owner: psycopg.Connection
) -> None:
    tenant = new_tenant(settings)
    job_id = tenant.submit()
    with attempt(settings, encode(JOB, job_id)) as run:
        run.succeed(answer=1)
    tenant.close()
    owner.execute("UPDATE job_events SET position = %s WHERE job_id = %s", (OLD_COUNT, job_id))

    def place_of_a_new_one() -> int:
        row = owner.execute(
            "INSERT INTO job_events (job_id, id, previous, organization_id, type, attempt)"
            " VALUES (uuidv7(), 1, 0, uuidv7(), 'job.queued', 0) RETURNING position"
        ).fetchone()
        assert row is not None
        return int(row[0])

    assert place_of_a_new_one() < OLD_COUNT
    owner.execute("SELECT events_restart()")
    above = place_of_a_new_one()
    assert above > OLD_COUNT
    # Once more does no harm.
    owner.execute("SELECT events_restart()")
    assert place_of_a_new_one() >= above
