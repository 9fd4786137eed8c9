"""Postgres: one engine per process, and transactions that each run under an explicit role.

Every transaction starts with one statement that assumes a role and sets the organization, both *local* to the
transaction, so that a transaction pooler in front of Postgres works:

* `Database.tenant` runs as ``waybill_app``: row-level security shows only the organization's rows.
* `Database.system` runs as ``waybill_system``: dispatcher and sweeps, which work across organizations.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import fields
from functools import lru_cache
from threading import Lock
from types import MappingProxyType
from typing import Any
from uuid import UUID

import psycopg
from sqlalchemy import Connection, Engine, Select, TextClause, UpdateBase, create_engine, event, text
from sqlalchemy.dialects.postgresql import ENUM
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlalchemy.engine import URL, Result, make_url
from sqlalchemy.engine.result import IteratorResult, SimpleResultMetaData
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import DeclarativeBase, Session
from sqlalchemy.pool import ConnectionPoolEntry

from core.kit.data_classes import DataClass
from core.kit.errors import Unavailable
from core.kit.fair_semaphore import FairSemaphore
from core.kit.logging import get_logger
from core.kit.metrics import DATABASE_CONNECTIONS_BUSY, DATABASE_CONNECTIONS_MAX, DATABASE_WAIT
from core.kit.pipelines import gathering
from core.kit.settings import Settings

APP_ROLE = "waybill_app"
SYSTEM_ROLE = "waybill_system"

_ASSUME = text(
    "SELECT set_config('role', :role, true), set_config('waybill.organization_id', :organization, true),"
    " set_config('statement_timeout', :timeout, true)"
)
# Frequent statements are prepared once per connection. On partitioned tables Postgres prefers custom plans and plans
# again at every execution, which costs more than the statement. Partitions are pruned at execution in any case.
#
# A plan made while a table was new is kept while the table grows, until it is analyzed. Without statistics, or rows, a
# sequential scan looks cheapest, so only statements that need all rows may use one.
_NO_SCANS = "set_config('enable_seqscan', 'off', true)"
_ASSUME_HOT = text(f"{_ASSUME.text}, set_config('plan_cache_mode', 'force_generic_plan', true), {_NO_SCANS}")
# The same for the rest of a session's transaction, for statements that look rows up by key.
AVOID_SCANS = text(f"SELECT {_NO_SCANS}")
# What is executed: SQL as text, or a statement on mapped classes, which holds its values.
Statement = TextClause | Select[Any] | UpdateBase
# A statement and its parameters.
Step = tuple[Statement, Mapping[str, Any]]
EMPTY: Mapping[str, Any] = MappingProxyType({})
_REFUSED_VALUE = ("22", "54")
# Connection parameters: a vanished server is noticed in seconds, not in the kernel's two hours.
NOTICE_LOSS: dict[str, Any] = {
    "keepalives_idle": 10,
    "keepalives_interval": 3,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
}
_PREPARE_THRESHOLD = 5
# For a transaction that stays open to hold its locks: no timeout of the server's configuration ends it.
STAY_OPEN = (
    "SELECT set_config('idle_in_transaction_session_timeout', '0', true), set_config('transaction_timeout', '0', true)"
)
_DIALECT = PGDialect_psycopg()  # type: ignore[no-untyped-call]
_log = get_logger(__name__)


class Base(DeclarativeBase):
    """The parent of every table; `core.tables` imports them all for Alembic."""


# The type of a column that holds a data class; in Postgres, `greatest` finds the higher of two.
DATA_CLASS = ENUM(
    DataClass, name="data_class", values_callable=lambda classes: [each.value for each in classes], create_type=False
)


def columns_of(table: type[Base], record: type[Any]) -> tuple[Any, ...]:
    """The columns that hold the fields of `record`, a dataclass, in their order: ``record(*row)`` reads a row."""
    return tuple(getattr(table, field.name) for field in fields(record))


def normalize_url(url: str) -> URL:
    """`url` for SQLAlchemy, with the psycopg driver whichever spelling the operator used (``postgres://`` included)."""
    parsed = make_url(url.replace("postgres://", "postgresql://", 1))
    return parsed.set(drivername="postgresql+psycopg")


def prepare_threshold(settings: Settings) -> int | None:
    """How often a connection executes a statement before preparing it (psycopg's parameter); None: never."""
    return _PREPARE_THRESHOLD if settings.database_prepared_statements else None


def is_unavailable(error: BaseException) -> bool:
    """Whether `error` means that Postgres cannot serve now, rather than that the statement was wrong.

    It is unreachable, too busy, or accepts no writes: a replica, or a server whose disk is nearly full.
    """
    if isinstance(error, PoolTimeout):
        return True
    if is_refused_value(error):
        return False
    if isinstance(error, OperationalError | InterfaceError | psycopg.OperationalError | psycopg.InterfaceError):
        return True
    cause = error.orig if isinstance(error, DBAPIError) else error
    if isinstance(cause, psycopg.errors.ReadOnlySqlTransaction):
        return True
    return isinstance(error, DBAPIError) and error.connection_invalidated


def is_refused_value(error: BaseException) -> bool:
    """Whether Postgres refused a value, and would refuse it again (SQLSTATE classes 22 and 54)."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    if isinstance(cause, psycopg.DataError):
        return True
    return isinstance(cause, psycopg.Error) and (cause.sqlstate or "").startswith(_REFUSED_VALUE)


class Database:
    """The process's connection pool. Open it after a fork, never before."""

    def __init__(self, settings: Settings, *, application_name: str, pool_size: int | None = None) -> None:
        if settings.database_url is None:
            message = "DATABASE_URL is not set and no embedded stack is running; start one with `waybill up`, or set it"
            raise Unavailable(message, code="database_not_configured")
        self._timeout_ms = str(int(settings.database_statement_timeout_seconds * 1000))
        size = pool_size or settings.database_pool_size
        # SQLAlchemy's pool is not fair: under load, a thread could wait for seconds while others came and
        # went. So threads queue here, and enter the pool only when it is their turn.
        self._slots = FairSemaphore(size, settings.database_connect_timeout_seconds, waited=_observe_wait)
        self._size = size
        DATABASE_CONNECTIONS_MAX.inc(size)
        self._background: ThreadPoolExecutor | None = None
        self._background_lock = Lock()
        self._is_closed = False
        self.url = normalize_url(settings.database_url.get_secret_value())
        self.engine: Engine = create_engine(
            self.url,
            pool_size=size,
            max_overflow=0,
            pool_timeout=settings.database_connect_timeout_seconds,
            pool_use_lifo=True,
            connect_args={
                # Transactions are begun here: psycopg waits for the answer to a BEGIN of its own, in a pipeline too.
                "autocommit": True,
                "application_name": application_name,
                "connect_timeout": max(1, int(settings.database_connect_timeout_seconds)),
                "prepare_threshold": prepare_threshold(settings),
                **NOTICE_LOSS,
            },
        )
        self._disposals = 0
        event.listen(self.engine, "begin", self._begin)
        event.listen(self.engine, "connect", self._count)
        event.listen(self.engine, "checkin", self._close_if_disposed)

    @contextmanager
    def tenant(self, organization_id: UUID) -> Iterator[Session]:
        """A transaction that sees one organization's rows; commits at the end, rolls back on any exception."""
        with self._transaction(APP_ROLE, str(organization_id)) as session:
            yield session

    @contextmanager
    def system(self) -> Iterator[Session]:
        """A transaction that sees every organization's rows: for dispatcher, sweeps and authentication only."""
        with self._transaction(SYSTEM_ROLE, "") as session:
            yield session

    @contextmanager
    def _transaction(self, role: str, organization: str) -> Iterator[Session]:
        with (
            self._slot(),
            Session(self.engine, autoflush=False, expire_on_commit=False) as session,
            session.begin(),
        ):
            session.connection(execution_options={"assumed": self._assumed(role, organization)})
            yield session

    def _begin(self, connection: Connection) -> None:
        # SQLAlchemy's hook.
        driver: psycopg.Connection[Any] = connection.connection.driver_connection  # type: ignore[assignment]
        assumed = connection.get_execution_options().get("assumed")
        try:
            with gathering(driver) as pipeline:
                pipeline.add(b"BEGIN")
                if assumed is not None:
                    driver.execute(_driver_sql(_ASSUME), assumed)
        except psycopg.Error as error:
            if is_lost := driver.closed:
                connection.invalidate(error)
                self._dispose()
            # As SQLAlchemy raises it for every other statement of a session.
            raise DBAPIError.instance(
                "BEGIN", None, error, psycopg.Error, connection_invalidated=is_lost, dialect=self.engine.dialect
            ) from error

    @contextmanager
    def _slot(self) -> Iterator[None]:
        with self._slots.slot():
            DATABASE_CONNECTIONS_BUSY.inc()
            try:
                yield
            finally:
                DATABASE_CONNECTIONS_BUSY.dec()

    def single_tenant(self, organization_id: UUID) -> "SingleStatement":
        """Executes statements as the organization, each in its own transaction and round trip."""
        return SingleStatement(self, APP_ROLE, str(organization_id))

    def single_system(self) -> "SingleStatement":
        """Executes statements across organizations, each in its own transaction and round trip."""
        return SingleStatement(self, SYSTEM_ROLE, "")

    def run_together(self, role: str, organization: str, steps: Sequence[Step]) -> list[Result[Any]]:
        """Begin, assume the role, execute `steps` and commit, in one round trip (libpq's pipeline mode).

        A step that Postgres refuses ends the transaction: nothing is stored, and its error is raised.
        """
        with self._slot():
            return self._run_together(role, organization, steps)

    def _run_together(self, role: str, organization: str, steps: Sequence[Step]) -> list[Result[Any]]:
        with self._driver_connection() as connection:
            return HotTransaction(connection, self._assumed(role, organization)).closing().execute_all(steps)

    @contextmanager
    def hot_system(self) -> Iterator["HotTransaction"]:
        """A transaction that sees every organization's rows, without the cost of a session, for frequent statements.

        Commits at the end, rolls back on any exception.
        """
        with self._slot(), self._driver_connection() as connection:
            transaction = HotTransaction(connection, self._assumed(SYSTEM_ROLE, ""))
            yield transaction
            transaction.commit()

    def _assumed(self, role: str, organization: str) -> Mapping[str, str]:
        return {"role": role, "organization": organization, "timeout": self._timeout_ms}

    @contextmanager
    def _driver_connection(self) -> Iterator[psycopg.Connection[Any]]:
        pooled = self.engine.raw_connection()
        try:
            connection: psycopg.Connection[Any] = pooled.driver_connection  # type: ignore[assignment]
            try:
                yield connection
            except (psycopg.OperationalError, psycopg.InterfaceError):
                if connection.closed:
                    # The server is gone: every pooled connection is as dead as this one.
                    pooled.invalidate()
                    self._dispose()
                raise
        finally:
            # What was not committed is rolled back here.
            pooled.close()

    def in_background(self, task: Callable[[], None]) -> None:
        """Run `task` in the pool's own thread, after tasks that were submitted before. Exceptions are logged."""
        with self._background_lock:
            if self._is_closed:
                return
            if self._background is None:
                self._background = ThreadPoolExecutor(1, thread_name_prefix="database")
            self._background.submit(_attempt, task)

    def close(self) -> None:
        """Finish the running background task, drop the others, and close connections, those in use as they return."""
        with self._background_lock:
            if not self._is_closed:
                DATABASE_CONNECTIONS_MAX.dec(self._size)
            background, self._background, self._is_closed = self._background, None, True
        if background is not None:
            background.shutdown(cancel_futures=True)
        self._dispose()

    def _dispose(self) -> None:
        self._disposals += 1
        self.engine.dispose()

    # When SQLAlchemy disposes of a pool it leaves connections in use to the garbage collector: close them on return.

    def _count(self, _connection: Any, record: ConnectionPoolEntry) -> None:
        record.info["disposals"] = self._disposals

    def _close_if_disposed(self, _connection: Any, record: ConnectionPoolEntry) -> None:
        if record.info.get("disposals") != self._disposals:
            record.invalidate()


class SingleStatement:
    """Stands in for a session where one statement is the whole transaction: `execute` also commits."""

    __slots__ = ("_database", "_organization", "_role")

    def __init__(self, database: Database, role: str, organization: str) -> None:
        self._database = database
        self._role = role
        self._organization = organization

    def execute(self, statement: Statement, parameters: Mapping[str, Any] = EMPTY) -> Result[Any]:
        """Execute and commit. Raises the driver's exceptions; nothing is stored then."""
        return self.execute_all([(statement, parameters)])[0]

    def execute_all(self, steps: Sequence[Step]) -> list[Result[Any]]:
        """Execute several statements as one transaction, and commit. None sees the result of an earlier one."""
        return self._database.run_together(self._role, self._organization, steps)

    def in_background(self, task: Callable[[], None]) -> None:
        """See `Database.in_background`."""
        self._database.in_background(task)


class HotTransaction:
    """A transaction of prepared statements; those that are given together share a round trip (pipeline mode)."""

    __slots__ = ("_assumed", "_connection", "_is_begun", "_is_closing")

    def __init__(self, connection: psycopg.Connection[Any], assumed: Mapping[str, str]) -> None:
        self._connection = connection
        self._assumed = assumed
        self._is_begun = False
        self._is_closing = False

    def closing(self) -> "HotTransaction":
        """This transaction, for its last statements: they commit it in their own round trip."""
        self._is_closing = True
        return self

    def execute(self, statement: Statement, parameters: Mapping[str, Any] = EMPTY) -> Result[Any]:
        """Execute a statement. Raises the driver's exceptions."""
        return self.execute_all([(statement, parameters)])[0]

    def execute_all(self, steps: Sequence[Step]) -> list[Result[Any]]:
        """Execute statements in one round trip, each with a snapshot of its own."""
        with gathering(self._connection) as pipeline:
            if not self._is_begun:
                pipeline.add(b"BEGIN")
                self._connection.execute(_driver_sql(_ASSUME_HOT), self._assumed)
                self._is_begun = True
            cursors = [self._connection.execute(*_driver_call(step, parameters)) for step, parameters in steps]
            if self._is_closing:
                pipeline.add(b"COMMIT")
        return [_fetched(cursor) for cursor in cursors]

    def commit(self) -> None:
        """Commit, unless the last statements did."""
        if self._is_begun and not self._is_closing:
            self._connection.commit()


# What a repository function that issues one statement accepts.
Executor = Session | SingleStatement | HotTransaction


def execute_all(executor: Executor, steps: Sequence[Step]) -> list[Result[Any]]:
    """Execute statements that do not depend on each other's rows: together where that saves round trips."""
    if not isinstance(executor, Session):
        return executor.execute_all(steps)
    return [executor.execute(statement, parameters) for statement, parameters in steps]


def _attempt(task: Callable[[], None]) -> None:
    try:
        task()
    except Exception as error:  # noqa: BLE001 - no one waits for it; code that needs the outcome reads it again
        _log.warning("background_query_failed", error=type(error).__name__)


def _observe_wait(seconds: float, has_place: bool) -> None:
    DATABASE_WAIT.labels("served" if has_place else "timed_out").observe(seconds)


def _fetched(cursor: psycopg.Cursor[Any]) -> Result[Any]:
    # `cursor.description` makes an object for every column, each time.
    found = cursor.pgresult
    names = () if found is None else tuple((found.fname(at) or b"").decode() for at in range(found.nfields))
    return IteratorResult(_metadata(names), iter(cursor.fetchall() if names else []))


def _driver_call(statement: Statement, parameters: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
    if isinstance(statement, TextClause):
        return _driver_sql(statement), parameters
    compiled = statement.compile(dialect=_DIALECT, compile_kwargs={"render_postcompile": True})
    return compiled.string, compiled.construct_params()


@lru_cache(maxsize=512)
def _driver_sql(statement: TextClause) -> str:
    return str(statement.compile(dialect=_DIALECT))


@lru_cache(maxsize=512)
def _metadata(keys: tuple[str, ...]) -> SimpleResultMetaData:
    return SimpleResultMetaData(keys)
