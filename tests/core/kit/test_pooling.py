"""PgBouncer in transaction mode, in the run that has one: `make test-pgbouncer`."""

import json
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from pydantic import SecretStr
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from core.kit.blob import open_blob_store
from core.kit.db import Database, normalize_url
from core.kit.migrate import upgrade
from core.kit.pooling import TransactionPooler, find_transaction_pooler
from core.kit.processes import set_passwords
from core.kit.settings import Settings
from tests.factories.backups import command_line
from tests.factories.entrances import KIND, PgBouncer, through
from tests.factories.processes import settings_of
from tests.factories.services import PASSWORDS
from waybill.backup.target import require_empty
from waybill.cli.failures import CliError
from waybill.stack.doctor import check_postgres
from waybill.stack.doctor.check import Check

with_pgbouncer = pytest.mark.skipif(KIND != "pgbouncer", reason="needs PgBouncer; make test-pgbouncer has it")


def at(settings: Settings) -> str:
    assert settings.database_url is not None
    return settings.database_url.get_secret_value()


def pooler_check(settings: Settings) -> Check:
    [check] = [check for check in check_postgres(settings) if check.name == "pooler"]
    return check


def test_a_server_that_is_spoken_to_directly_is_not_taken_for_a_pooler(settings: Settings, postgres_url: str) -> None:
    assert find_transaction_pooler(postgres_url) is None
    assert pooler_check(settings_of(settings, database_url=SecretStr(postgres_url))).status == "ok"


@with_pgbouncer
def test_a_pooler_in_transaction_mode_is_found_with_what_it_loses(settings: Settings) -> None:
    assert find_transaction_pooler(at(settings)) == TransactionPooler(keeps_prepared=False)
    check = pooler_check(settings_of(settings, database_prepared_statements=True))
    assert check.status == "fail"
    assert "WAYBILL_DATABASE_PREPARED_STATEMENTS=false" in check.remedy
    assert pooler_check(settings_of(settings, database_prepared_statements=False)).status == "ok"


@pytest.fixture
def session_pooler(postgres_url: str, tmp_path: Path) -> Iterator[str]:
    pooler = PgBouncer(tmp_path / "pooler", postgres_url, mode="session")
    yield through(pooler.start(), postgres_url)
    pooler.stop()


@with_pgbouncer
def test_a_pooler_in_session_mode_is_as_good_as_the_server(session_pooler: str) -> None:
    assert find_transaction_pooler(session_pooler) is None


@with_pgbouncer
@pytest.mark.parametrize("prepares", [True, False])
def test_statements_that_are_executed_often_work_unless_they_are_prepared(settings: Settings, prepares: bool) -> None:
    database = Database(
        settings_of(settings, database_prepared_statements=prepares), application_name="test", pool_size=1
    )

    def execute() -> None:
        with database.system() as session:
            session.execute(text("SELECT 1"))

    try:
        for _ in range(10):
            execute()
        with psycopg.connect(at(settings)) as other:
            # It is given the connection of the server that was just given back, so that the next is another.
            other.execute("SELECT 1")
            if prepares:
                with pytest.raises(DBAPIError, match="prepared statement"):
                    execute()
            else:
                execute()
    finally:
        database.close()


@with_pgbouncer
def test_nothing_that_migrates_or_looks_stays_with_the_pooler_s_connections(
    settings: Settings, postgres_url: str
) -> None:
    for _ in range(2):
        upgrade(at(settings))
        set_passwords(at(settings), PASSWORDS)
        check_postgres(settings)
    with psycopg.connect(at(settings)) as connection:
        found = connection.execute("SELECT current_setting('statement_timeout'), current_setting('lock_timeout')")
        assert found.fetchone() == ("0", "0")
    with psycopg.connect(postgres_url) as connection:
        locks = connection.execute("SELECT count(*) FROM pg_locks WHERE objid IN (7201945, 7201959)").fetchone()
        assert locks == (0,)


@with_pgbouncer
def test_a_backup_is_refused_where_it_would_change_the_sessions_of_others(settings: Settings, tmp_path: Path) -> None:
    result = command_line(settings)("backup", str(tmp_path / "backup"), "--json")
    assert json.loads(result.stderr)["error"]["code"] == "pooler_in_transaction_mode"
    with pytest.raises(CliError, match="a pooler in transaction mode"):
        require_empty(settings, normalize_url(at(settings)), open_blob_store(settings))
