"""The system's own database: created, migrated and filled when it is first opened."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from importlib.resources import files
from typing import Any

import psycopg
from psycopg import Connection, sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.rows import DictRow, dict_row
from psycopg_pool import ConnectionPool

from waybill.sample_system.cases import TODAY
from waybill.sample_system.seed import COLUMNS, make_rows

DATABASE = "waybill_sample_system"
_LOCK = 7201951
# The same rows each time, generated in a tenth of a second.
_made = cache(make_rows)


class SampleDatabase:
    """Connections to the system's database. Every `transaction` commits when its block ends without an error."""

    def __init__(self, url: str, *, pool_size: int = 4) -> None:
        self._pool: ConnectionPool[Connection[DictRow]] = ConnectionPool(
            url, min_size=1, max_size=pool_size, kwargs={"row_factory": dict_row}, open=True
        )

    @contextmanager
    def transaction(self) -> Iterator[Connection[DictRow]]:
        """A transaction over one connection."""
        with self._pool.connection() as connection:
            yield connection

    def prepare(self) -> None:
        """Create the tables and fill them, unless that was done before."""
        with self.transaction() as connection:
            connection.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
            connection.execute(files(__package__).joinpath("schema.sql").read_bytes())
            if connection.execute("SELECT 1 FROM calendar").fetchone() is None:
                _fill(connection)

    def reset(self) -> None:
        """Restore every table to its initial rows."""
        with self.transaction() as connection:
            connection.execute(
                "TRUNCATE calendar, customers, orders, shipments, refunds, tickets, messages, operations"
            )
            _fill(connection)

    def close(self) -> None:
        """Close the connections."""
        self._pool.close()


def ensure_database(server_url: str, name: str = DATABASE) -> str:
    """The URL of the database `name` on the server of `server_url`, created when it is missing.

    The role of `server_url` needs CREATEDB for that.
    """
    with psycopg.connect(server_url, autocommit=True) as connection:
        known = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (name,)).fetchone()
        if known is None:
            with suppress(psycopg.errors.DuplicateDatabase, psycopg.errors.UniqueViolation):
                connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    parts: dict[str, Any] = conninfo_to_dict(server_url)
    return make_conninfo("", **{**parts, "dbname": name})


def _fill(connection: Connection[DictRow]) -> None:
    rows = _made()
    with connection.cursor() as cursor:
        for table, columns in COLUMNS.items():
            with cursor.copy(f"COPY {table} ({columns}) FROM STDIN") as copy:
                for row in getattr(rows, table):
                    copy.write_row(row)
        cursor.execute("INSERT INTO calendar (today) VALUES (%s)", (TODAY,))
