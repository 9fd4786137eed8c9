import gc
import warnings

import pytest
from prometheus_client import REGISTRY
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from core.kit.db import Database, is_unavailable
from core.kit.settings import Settings


def test_a_connection_in_use_while_its_pool_is_closed_is_closed_when_it_returns(settings: Settings) -> None:
    database = Database(settings, application_name="test", pool_size=1)
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always", ResourceWarning)
        with database.system() as session:
            session.execute(text("SELECT 1"))
            database.close()
        del database, session
        gc.collect()
    # psycopg warns of a connection that the garbage collector had to close.
    assert [str(each.message) for each in warned if "psycopg" in str(each.message)] == []


def failure(database: Database, *statements: str) -> BaseException:
    with database.system() as session:
        for statement in statements[:-1]:
            session.execute(text(statement))
        with pytest.raises(DBAPIError) as raised:
            session.execute(text(statements[-1]))
        session.rollback()
    return raised.value


def test_a_server_that_takes_no_writes_is_unavailable(settings: Settings) -> None:
    database = Database(settings, application_name="test", pool_size=1)
    try:
        assert is_unavailable(failure(database, "SET TRANSACTION READ ONLY", "DELETE FROM jobs"))
        assert not is_unavailable(failure(database, "DELETE FROM no_such_table"))
    finally:
        database.close()


def test_connections_in_use_are_shown(settings: Settings) -> None:
    def shown(name: str) -> float:
        return REGISTRY.get_sample_value(f"waybill_database_connections_{name}") or 0.0

    most, busy = shown("max"), shown("busy")
    database = Database(settings, application_name="test", pool_size=3)
    assert shown("max") == most + 3
    with database.system():
        assert shown("busy") == busy + 1
    database.single_system().execute(text("SELECT 1"), {})
    assert shown("busy") == busy
    database.close()
    database.close()
    assert shown("max") == most
