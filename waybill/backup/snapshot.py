"""A snapshot of the database: its contents, and a dump by pg_dump over the same snapshot."""

import hashlib
import os
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql
from sqlalchemy.engine import URL

from core.kit.migrate import newest_revision
from core.kit.pooling import find_transaction_pooler
from waybill.backup import programs
from waybill.backup.manifest import CHUNK_BYTES, Part
from waybill.cli.exits import Exit
from waybill.cli.failures import CliError

Progress = Callable[[str], None]
_SHOWN_MAX = 5

# Row security that applies to this login without a policy of its own that lets everything through.
_HIDDEN = """
SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')
  AND (NOT has_table_privilege(oid, 'SELECT') OR (row_security_active(oid) AND NOT EXISTS (
    SELECT FROM pg_policy WHERE polrelid = pg_class.oid AND polcmd IN ('r', '*') AND polpermissive
      AND (SELECT oid FROM pg_roles WHERE rolname = current_user) = ANY(polroles)
      AND pg_get_expr(polqual, polrelid) = 'true')))
ORDER BY relname
"""
_TABLES = """
SELECT relname FROM pg_class
WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition ORDER BY relname
"""


def require_session(url: URL) -> None:
    """Raise `CliError` for a transaction pooler, where the programs' session settings would leak to other clients."""
    address = url.set(drivername="postgresql").render_as_string(hide_password=False)
    if find_transaction_pooler(address, application_name="waybill-backup", connect_timeout=10) is not None:
        raise CliError(
            "DATABASE_URL points to a pooler in transaction mode, but PostgreSQL's programs need a session",
            remedy="set DATABASE_URL to the server itself, usually port 5432",
            code="pooler_in_transaction_mode",
        )


def connect(url: URL) -> psycopg.Connection[Any]:
    """A connection without server timeouts, so that it stays open while a program uses its snapshot."""
    address = url.set(drivername="postgresql").render_as_string(hide_password=False)
    options = "-c statement_timeout=0 -c idle_in_transaction_session_timeout=0 -c transaction_timeout=0"
    return psycopg.connect(address, application_name="waybill-backup", connect_timeout=10, options=options)


class Snapshot:
    """A transaction that sees the database as of `taken_at`; read it before it is closed."""

    def __init__(self, connection: psycopg.Connection[Any], url: URL) -> None:
        self.connection = connection
        self._url = url
        self._name, taken_at = self._one("SELECT pg_export_snapshot(), now()")
        self.taken_at: datetime = taken_at
        self.server_version = connection.info.server_version

    def require_readable(self) -> str:
        """The schema's revision. Raises `CliError` unless this login can read every row and the schema is known."""
        if self._one("SELECT to_regclass('alembic_version')") == (None,):
            raise CliError("the database is empty; there is nothing to back up", code="database_empty")
        if hidden := [name for (name,) in self.connection.execute(_HIDDEN)]:
            shown = ", ".join(hidden[:_SHOWN_MAX]) + (" …" if len(hidden) > _SHOWN_MAX else "")
            raise CliError(
                f"this login cannot read every row of {len(hidden)} tables: {shown}",
                remedy="connect as waybill_backup, or as the owner of the tables",
                code="rows_hidden",
                exit_code=Exit.DENIED,
            )
        (revision,) = self._one("SELECT version_num FROM alembic_version")
        if revision != newest_revision():
            raise CliError(
                f"the database has the schema {revision}, and this release knows {newest_revision()}",
                remedy="back up with the release that uses this database, or run `waybill migrate` first",
                code="schema_unknown",
            )
        return str(revision)

    def dump(self, path: Path, folder: Path | None, progress: Progress) -> Part:
        """Write the dump to `path`; `folder` may name where pg_dump is. Raises `CliError`."""
        command = [
            str(programs.find("pg_dump", self.server_version, folder)),
            # Without it, pg_dump refuses tables with row security; `require_readable` checked that it hides nothing.
            *("--format=custom", "--enable-row-security", "--no-password", f"--snapshot={self._name}"),
            f"--dbname={programs.address(self._url)}",
        ]
        digest, size, reported = hashlib.sha256(), 0, 0
        with (
            path.open("xb") as file,
            tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as complaints,
            _running(command, programs.environment(self._url), complaints.fileno()) as process,
        ):
            assert process.stdout is not None
            while chunk := process.stdout.read(CHUNK_BYTES):
                file.write(chunk)
                digest.update(chunk)
                size += len(chunk)
                if size - reported >= 64 * CHUNK_BYTES:
                    reported = size
                    progress(f"Postgres: {size // CHUNK_BYTES} MiB")
            if process.wait() != 0:
                complaints.seek(0)
                raise programs.failed("pg_dump", complaints.read())
            file.flush()
            os.fsync(file.fileno())
        progress(f"Postgres: {size / CHUNK_BYTES:.1f} MiB, done")
        return Part(sha256=digest.hexdigest(), size_bytes=size)

    def _one(self, query: str) -> Any:
        return self.connection.execute(query.encode()).fetchone()


def count_rows(connection: psycopg.Connection[Any]) -> dict[str, int]:
    """The number of rows per table; partitions count towards their table."""
    counts = {}
    for (name,) in connection.execute(_TABLES).fetchall():
        query = sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier("public", name))
        [[counts[name]]] = connection.execute(query).fetchall()
    return counts


@contextmanager
def take(url: URL) -> Iterator[Snapshot]:
    """A snapshot of the database at `url`, until the end of the block. Raises `CliError`."""
    require_session(url)
    with connect(url) as connection:
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        connection.read_only = True
        yield Snapshot(connection, url)


@contextmanager
def _running(command: list[str], environment: dict[str, str], complaints: int) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(  # noqa: S603 - Postgres' own program
        command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=complaints
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait()
        assert process.stdout is not None
        process.stdout.close()
