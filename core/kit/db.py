"""Postgres: one engine per process, and transactions that say as whom they run.

Every transaction begins with one statement that assumes a role and names the organisation, both *local* to the
transaction, so that a transaction pooler in front of Postgres works:

* `Database.tenant` runs as ``waybill_app``: row-level security shows only the organisation's rows.
* `Database.system` runs as ``waybill_system``: dispatcher and sweeps, which work across organisations.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

from sqlalchemy import Engine, create_engine, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import DeclarativeBase, Session

from core.kit.errors import Unavailable
from core.kit.settings import Settings

APP_ROLE = "waybill_app"
SYSTEM_ROLE = "waybill_system"

_ASSUME = text(
    "SELECT set_config('role', :role, true), set_config('waybill.organization_id', :organization, true),"
    " set_config('statement_timeout', :timeout, true)"
)


class Base(DeclarativeBase):
    """The parent of every table; `core.tables` imports them all for Alembic."""


def normalize_url(url: str) -> URL:
    """`url` for SQLAlchemy, with the psycopg driver whatever spelling the operator used (``postgres://`` included)."""
    parsed = make_url(url.replace("postgres://", "postgresql://", 1))
    return parsed.set(drivername="postgresql+psycopg")


def is_unavailable(error: BaseException) -> bool:
    """Whether `error` means that Postgres is away or too busy, rather than that the statement was wrong."""
    if isinstance(error, PoolTimeout):
        return True
    if isinstance(error, OperationalError | InterfaceError):
        return True
    return isinstance(error, DBAPIError) and error.connection_invalidated


class Database:
    """The process's connection pool. Open it after a fork, never before."""

    def __init__(self, settings: Settings, *, application_name: str, pool_size: int | None = None) -> None:
        if settings.database_url is None:
            message = (
                "DATABASE_URL is not set and no embedded stack is running; start one with `waybill up`, or set it"
            )
            raise Unavailable(message, code="database_not_configured")
        self._timeout_ms = str(int(settings.database_statement_timeout_seconds * 1000))
        self.url = normalize_url(settings.database_url.get_secret_value())
        self.engine: Engine = create_engine(
            self.url,
            pool_size=pool_size or settings.database_pool_size,
            max_overflow=0,
            pool_timeout=settings.database_connect_timeout_seconds,
            pool_use_lifo=True,
            connect_args={
                "application_name": application_name,
                "connect_timeout": max(1, int(settings.database_connect_timeout_seconds)),
                # Keepalives and a user timeout: a vanished server is noticed in seconds, not in the kernel's two hours.
                "keepalives_idle": 10,
                "keepalives_interval": 3,
                "keepalives_count": 3,
                "tcp_user_timeout": 10_000,
            },
        )

    @contextmanager
    def tenant(self, organization_id: UUID) -> Iterator[Session]:
        """A transaction that sees one organisation's rows; commits at the end, rolls back on any exception."""
        with self._transaction(APP_ROLE, str(organization_id)) as session:
            yield session

    @contextmanager
    def system(self) -> Iterator[Session]:
        """A transaction that sees every organisation's rows: for dispatcher, sweeps and authentication only."""
        with self._transaction(SYSTEM_ROLE, "") as session:
            yield session

    @contextmanager
    def _transaction(self, role: str, organization: str) -> Iterator[Session]:
        with Session(self.engine, autoflush=False, expire_on_commit=False) as session, session.begin():
            session.execute(_ASSUME, {"role": role, "organization": organization, "timeout": self._timeout_ms})
            yield session

    def close(self) -> None:
        """Close every pooled connection."""
        self.engine.dispose()
