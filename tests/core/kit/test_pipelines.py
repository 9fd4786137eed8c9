"""A transaction of hot statements is one write of the client and one wait; what is refused in it is refused whole."""

import contextlib
import socket
import threading
from collections.abc import Iterator

import psycopg
import pytest
from pydantic import SecretStr
from sqlalchemy import text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import OperationalError

from core.kit.db import Database, is_unavailable
from core.kit.settings import Settings

ONE = text("SELECT CAST(:value AS int) AS value")
WRONG = text("SELECT 1 / CAST(:value AS int) AS value")
TIMES = 10
WARM = 8


class Relay:
    """Passes bytes between one client and Postgres, and counts the pieces in which the client's come."""

    def __init__(self, host: str, port: int) -> None:
        self.pieces = 0
        self._ends: list[socket.socket] = []
        self._target = (host, port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def cut(self) -> None:
        """Lose the connections there are."""
        for end in self._ends:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                far = socket.create_connection(self._target)
                self._ends += (near, far)
                for side in (near, far):
                    side.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                threading.Thread(target=self._pump, args=(near, far, True), daemon=True).start()
                threading.Thread(target=self._pump, args=(far, near, False), daemon=True).start()

    def _pump(self, source: socket.socket, to: socket.socket, counts: bool) -> None:
        with contextlib.suppress(OSError), source, to:
            while data := source.recv(65536):
                self.pieces += counts
                to.sendall(data)


@pytest.fixture
def relay(settings: Settings) -> Iterator[Relay]:
    assert settings.database_url is not None
    address = make_url(settings.database_url.get_secret_value())
    made = Relay(address.host or "127.0.0.1", address.port or 5432)
    yield made
    made.close()


@pytest.fixture
def database(settings: Settings, relay: Relay) -> Iterator[Database]:
    assert settings.database_url is not None
    url = make_url(settings.database_url.get_secret_value()).set(port=relay.port)
    through = settings.model_copy(update={"database_url": SecretStr(url.render_as_string(hide_password=False))})
    made = Database(through, application_name="test", pool_size=1)
    yield made
    made.close()


def test_a_hot_statement_is_written_and_answered_once(database: Database, relay: Relay) -> None:
    single = database.single_system()
    for _ in range(WARM):
        single.execute(ONE, {"value": 1})
    before = relay.pieces
    for number in range(TIMES):
        assert single.execute(ONE, {"value": number}).scalar_one() == number
    assert relay.pieces - before == TIMES


def test_a_transaction_of_two_trips_is_written_twice(database: Database, relay: Relay) -> None:
    def work() -> None:
        with database.hot_system() as transaction:
            transaction.execute_all([(ONE, {"value": 1}), (ONE, {"value": 2})])
            [result] = transaction.closing().execute_all([(ONE, {"value": 3})])
            assert result.scalar_one() == 3

    for _ in range(WARM):
        work()
    before = relay.pieces
    for _ in range(TIMES):
        work()
    assert relay.pieces - before == 2 * TIMES


def test_a_session_begins_and_assumes_its_role_in_one_write(database: Database, relay: Relay) -> None:
    def work() -> None:
        with database.system() as session:
            assert session.execute(ONE, {"value": 5}).scalar_one() == 5

    for _ in range(WARM):
        work()
    before = relay.pieces
    for _ in range(TIMES):
        work()
    # The beginning, the statement, the end.
    assert relay.pieces - before == 3 * TIMES


def test_a_refused_statement_leaves_nothing_and_the_connection_serves_again(database: Database) -> None:
    single = database.single_system()
    table = text("SELECT set_config('waybill.test', 'kept', false)")
    for _ in range(WARM):
        with pytest.raises(psycopg.errors.DivisionByZero):
            single.execute_all([(table, {}), (WRONG, {"value": 0})])
        kept = text("SELECT coalesce(current_setting('waybill.test', true), '') AS value")
        assert single.execute(kept, {}).scalar_one() == ""
        assert single.execute(WRONG, {"value": 1}).scalar_one() == 1


def test_a_value_that_cannot_be_sent_sends_nothing_of_the_statement(database: Database) -> None:
    single = database.single_system()
    with pytest.raises(psycopg.DataError):
        single.execute(text("SELECT CAST(:value AS text) AS value"), {"value": "a\x00b"})
    assert single.execute(ONE, {"value": 2}).scalar_one() == 2


def test_no_connection_is_returned_within_a_transaction(database: Database) -> None:
    with contextlib.suppress(psycopg.Error):
        database.single_system().execute(WRONG, {"value": 0})
    with contextlib.suppress(RuntimeError), database.hot_system() as transaction:
        transaction.execute(ONE, {"value": 1})
        raise RuntimeError
    raw = database.engine.raw_connection()
    driver = raw.driver_connection
    assert isinstance(driver, psycopg.Connection)
    assert driver.info.transaction_status is psycopg.pq.TransactionStatus.IDLE
    raw.close()


def test_statements_larger_than_any_buffer_pass_both_ways_at_once(database: Database) -> None:
    large = "x" * 20_000_000
    echo = text("SELECT CAST(:value AS text) AS value")
    found = database.single_system().execute_all([(echo, {"value": large}), (echo, {"value": large})])
    assert [result.scalar_one() == large for result in found] == [True, True]
    # The refusal comes before the rest is sent.
    with pytest.raises(psycopg.errors.DivisionByZero):
        database.single_system().execute_all([(WRONG, {"value": 0}), (echo, {"value": large})])
    assert database.single_system().execute(ONE, {"value": 1}).scalar_one() == 1


def test_a_connection_that_could_not_send_everything_is_closed_and_replaced(database: Database) -> None:
    too_many = text(f"SELECT CAST(:value AS int) IN ({', '.join(f':p{number}' for number in range(65_535))})")
    with pytest.raises(psycopg.OperationalError, match="number of parameters"):
        database.single_system().execute(too_many, {"value": 1} | {f"p{number}": number for number in range(65_535)})
    assert database.single_system().execute(ONE, {"value": 3}).scalar_one() == 3


def test_a_session_on_a_lost_connection_fails_as_unavailable_and_the_next_one_works(
    database: Database, relay: Relay
) -> None:
    with database.system() as session:
        session.execute(ONE, {"value": 3})
    relay.cut()
    with pytest.raises(OperationalError) as raised, database.system():
        pass
    assert is_unavailable(raised.value)
    with database.system() as session:
        assert session.execute(ONE, {"value": 4}).scalar_one() == 4
