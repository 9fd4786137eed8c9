"""The target of a restore: an empty database, blob store and Redis."""

import re
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import psycopg
import redis
from sqlalchemy.engine import URL

from core.kit.blob import BlobStore
from core.kit.processes import BACKUP_LOGIN, create_roles
from core.kit.redis import connect as connect_redis
from core.kit.settings import Settings
from waybill.backup import programs
from waybill.backup.manifest import DUMP
from waybill.backup.snapshot import connect, require_session
from waybill.cli.exits import Exit
from waybill.cli.failures import CliError

_FOREIGN = """
SELECT relname FROM pg_class WHERE relkind IN ('r', 'p', 'v', 'm', 'S', 'f') AND relnamespace NOT IN (
    SELECT oid FROM pg_namespace WHERE nspname LIKE 'pg\\_%' OR nspname = 'information_schema')
  AND NOT EXISTS (SELECT FROM pg_depend WHERE objid = pg_class.oid AND deptype = 'e')
LIMIT 1
"""
# It names the owner that the tables had, who need not exist here; `restore_database` grants the same for this one.
_OWNERS_DEFAULTS = re.compile(r"^\d+; \d+ \d+ DEFAULT ACL ")
# They set parameters of pgvector, which only a superuser may name before its library was loaded; the first table with
# a vector loads it. Nothing in the schema depends on them.
_OF_VECTORS = re.compile(r"^\d+; \d+ \d+ (FUNCTION|ACL) public (FUNCTION )?\w+\(.*halfvec")


def require_empty(settings: Settings, url: URL, blobs: BlobStore) -> None:
    """Raise `CliError` unless the database, the blob store and Redis, if configured, hold no data of Waybill.

    Also raises it behind a transaction pooler.
    """
    require_session(url)
    with connect(url) as connection:
        if (row := connection.execute(_FOREIGN).fetchone()) is not None:
            raise _not_empty(
                f"the database {url.database} is not empty: it contains {row[0]}",
                "create an empty database owned by the owner of the tables, and set DATABASE_URL to it",
            )
    if (key := next(iter(blobs.list("")), None)) is not None:
        raise _not_empty(
            f"the blob store is not empty: it contains {key}",
            "set WAYBILL_BLOB_URL to an empty folder or container",
        )
    if settings.redis_url is not None and _holds_keys(settings):
        raise _not_empty(
            f"Redis contains keys of an installation, with the prefix {{{settings.key_prefix}}}",
            "delete them (Postgres has all of their data), or set another prefix in WAYBILL_KEY_PREFIX",
        )


def restore_database(url: URL, source: Path, folder: Path | None) -> None:
    """Restore the dump, in one transaction; `folder` may name where pg_restore is. Raises `CliError`."""
    with connect(url) as connection:
        create_roles(connection)
        version = connection.info.server_version
    program, dump = str(programs.find("pg_restore", version, folder)), str(source / DUMP)
    listed = _run(url, [program, "--list", dump])
    entries = [line for line in listed.splitlines(keepends=True) if not _OWNERS_DEFAULTS.match(line)]
    # pg_restore follows the order of the list. Sorting is stable: a function stays before its grants.
    entries.sort(key=lambda line: _OF_VECTORS.match(line) is not None)
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", suffix=".list") as chosen:
        chosen.write("".join(entries))
        chosen.flush()
        # A comment on an extension is its owner's to make, who is the administrator on a managed server.
        options = ["--single-transaction", "--exit-on-error", "--no-owner", "--no-comments", "--no-password"]
        _run(url, [program, *options, f"--use-list={chosen.name}", f"--dbname={programs.address(url)}", dump])
    with connect(url) as connection:
        connection.execute(
            f"ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO {BACKUP_LOGIN}".encode()
        )
    with psycopg.connect(url.set(drivername="postgresql").render_as_string(hide_password=False)) as connection:
        # A dump has no statistics of the tables.
        connection.autocommit = True
        connection.execute("ANALYZE")


def _holds_keys(settings: Settings) -> bool:
    try:
        with connect_redis(settings) as client:
            found: Any = next(client.scan_iter(match=settings.key("*"), count=1000), None)
    except (redis.RedisError, OSError) as error:
        raise CliError(
            f"Redis does not answer ({type(error).__name__}), so it may still contain data of the lost installation",
            remedy="start it, or unset REDIS_URL if it is new",
            code="redis_unavailable",
        ) from error
    return found is not None


def _run(url: URL, command: list[str]) -> str:
    done = subprocess.run(  # noqa: S603 - Postgres' own program
        command, env=programs.environment(url), stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise programs.failed("pg_restore", done.stderr)
    return done.stdout


def _not_empty(message: str, remedy: str) -> CliError:
    return CliError(f"{message}. Nothing was restored", remedy=remedy, code="target_not_empty", exit_code=Exit.REFUSED)
