"""Checks that Postgres responds, is new enough, grants the needed permissions, and has the right schema."""

from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from time import time
from typing import Any

import psycopg
from psycopg import sql

from core.kit.db import APP_ROLE, SYSTEM_ROLE, normalize_url
from core.kit.pooling import TransactionPooler, find_transaction_pooler
from core.kit.processes import LOGINS, ROLES_OF, SCALER_LOGIN
from core.kit.settings import Settings
from pipelines.registry import manifests
from waybill.stack.doctor.check import Check, fail, is_this_machine, ok, one_line, warn
from waybill.stack.doctor.graphs import check_graphs

# RETURNING old.* and uuidv7() came with 18.
_VERSION_MIN = 180_000
_CLOCK_WARN_SECONDS = 2.0
SCHEMA = "schema"
_UNSEEN = "not checked: this login may not read it"
_UNREACHABLE_REMEDY = "check that DATABASE_URL names a running server, a user and its password"
_FULL_REMEDY = "find out who holds its connections, or allow more: docs/runbooks/postgres-connections.md"
_MIGRATE = "run `waybill migrate` with the DATABASE_URL of the owner of Waybill's tables"


def check_postgres(settings: Settings) -> list[Check]:
    """Check the database and any pooler in front of it, over one connection."""
    name = "Postgres"
    if settings.database_url is None:
        return [ok(name, "DATABASE_URL is not set; `waybill up` starts its own PostgreSQL 18")]
    options: dict[str, Any] = {
        "connect_timeout": max(2, int(settings.database_connect_timeout_seconds)),
        "application_name": "waybill-doctor",
    }
    try:
        url = normalize_url(settings.database_url.get_secret_value())
        where = f"{url.host or 'the local socket'}:{url.port or 5432}/{url.database}"
        address = url.set(drivername="postgresql").render_as_string(hide_password=False)
        connection = psycopg.connect(address, autocommit=True, prepare_threshold=None, **options)
    except (psycopg.Error, ValueError) as error:
        return [fail(name, one_line(error), _FULL_REMEDY if _is_full(error) else _UNREACHABLE_REMEDY)]
    checks: list[Check] = []
    try:
        with connection:
            milliseconds = int(settings.database_statement_timeout_seconds * 1000)
            checks.append(_version(connection.info.server_version, where))
            checks.append(_tls(connection))
            pooler = find_transaction_pooler(address, **options)
            checks.append(check_pooler(pooler, prepares=settings.database_prepared_statements))
            if checks[0].status == "ok":
                for look in (_writes, _vector, _roles, _login, check_migrations, _clock, _webhooks, _graphs):
                    with connection.transaction():
                        connection.execute(f"SET LOCAL statement_timeout = {milliseconds}")
                        checks.append(look(connection))
    except psycopg.Error as error:
        checks.append(fail(name, one_line(error), "grant this login the missing permission, or use another login"))
    return checks


def _is_full(error: Exception) -> bool:
    # libpq reports no SQLSTATE for a refused connection.
    return any(words in str(error) for words in ("too many c", "remaining connection slots"))


def check_clock(seconds_ahead: float) -> Check:
    """`seconds_ahead`: by how much the database's clock is ahead of this machine's."""
    side = "ahead of" if seconds_ahead > 0 else "behind"
    found = f"the database's clock is {abs(seconds_ahead):.1f} s {side} this machine's"
    if abs(seconds_ahead) < _CLOCK_WARN_SECONDS:
        return ok("clock", found)
    return warn(
        "clock",
        f"{found}; leases and deadlines use the database's clock, logs and traces this machine's",
        "synchronize both machines with the same time server (NTP)",
    )


def check_migrations(connection: psycopg.Connection[Any]) -> Check:
    """Check that the schema is the one that this code needs."""
    name, scripts = SCHEMA, _scripts()
    [head] = scripts.get_heads()
    if _value(connection, "SELECT to_regclass('alembic_version')::text") is None:
        return warn(name, f"the database is empty; this code needs revision {head}", f"{_MIGRATE}, or `waybill up`")
    if _value(connection, "SELECT current_user") == SCALER_LOGIN:
        return ok(name, _UNSEEN)
    current = _value(connection, "SELECT version_num FROM alembic_version")
    if current == head:
        return ok(name, f"revision {head}, the newest")
    if any(script.revision == current for script in scripts.walk_revisions()):
        return fail(name, f"revision {current}, but this code needs {head}", _MIGRATE)
    return fail(
        name,
        f"revision {current or '(none)'}, which this version does not know; it needs {head}",
        "the database was migrated by a newer Waybill; install that version here",
    )


def _version(version: int, where: str) -> Check:
    found = f"{version // 10_000}.{version % 10_000} at {where}"
    if version >= _VERSION_MIN:
        return ok("Postgres", found)
    return fail("Postgres", found, "Waybill needs PostgreSQL 18 or newer; upgrade the server")


def check_pooler(pooler: TransactionPooler | None, *, prepares: bool) -> Check:
    """Check that the pooler in front of the server, if any, fits the settings."""
    name = "pooler"
    if pooler is None:
        return ok(name, "none in transaction mode")
    if pooler.keeps_prepared:
        return ok(name, "transaction mode, with support for prepared statements")
    if not prepares:
        return ok(name, "transaction mode; prepared statements are off")
    return fail(
        name,
        "transaction mode, without support for prepared statements",
        "set WAYBILL_DATABASE_PREPARED_STATEMENTS=false, or use PgBouncer 1.21 or newer with max_prepared_statements",
    )


def check_tls(mode: str, *, is_encrypted: bool, is_local: bool) -> Check:
    """Check that the connection is encrypted and the server verified. `mode` is libpq's ``sslmode``."""
    name, remedy = "Postgres TLS", "append to DATABASE_URL: ?sslmode=verify-full&sslrootcert=FILE"
    if is_encrypted and mode == "verify-full":
        return ok(name, "the server's certificate is verified")
    if is_local:
        return ok(name, "the server is on this machine")
    if not is_encrypted:
        return warn(name, "not encrypted: everything except the password can be read on the network", remedy)
    unverified = "host name" if mode == "verify-ca" else "certificate"
    return warn(name, f"encrypted, but the server's {unverified} is not verified (sslmode={mode})", remedy)


def _tls(connection: psycopg.Connection[Any]) -> Check:
    given = {option.keyword: (option.val or b"").decode() for option in connection.pgconn.info}
    is_local = connection.info.host.startswith("/") or is_this_machine(connection.info.hostaddr)
    return check_tls(given[b"sslmode"], is_encrypted=connection.pgconn.ssl_in_use, is_local=is_local)


def _writes(connection: psycopg.Connection[Any]) -> Check:
    name = "Postgres writes"
    row = connection.execute("SELECT pg_is_in_recovery(), current_setting('transaction_read_only') = 'on'").fetchone()
    is_replica, is_read_only = row or (False, False)
    if is_replica:
        return fail(name, "this server is a read-only replica", "set DATABASE_URL to the primary")
    if is_read_only:
        return fail(
            name,
            "the server or the login is read-only",
            "managed services do that when the disk is nearly full: docs/runbooks/postgres-disk-full.md",
        )
    return ok(name, "allowed")


def _vector(connection: psycopg.Connection[Any]) -> Check:
    name = "pgvector"
    row = connection.execute(
        "SELECT default_version, installed_version FROM pg_available_extensions WHERE name = 'vector'"
    ).fetchone()
    if row is None:
        return fail(
            name,
            "not available on this server",
            "install the package (postgresql-18-pgvector), or enable the extension in the managed service's settings",
        )
    available, installed = row
    if installed is None:
        return ok(name, f"{available} available; a migration will install it")
    return ok(name, f"{installed} installed")


def _roles(connection: psycopg.Connection[Any]) -> Check:
    name = "database roles"
    user = _value(connection, "SELECT current_user")
    # Any other login belongs to an operator, who runs all processes with it.
    wanted = ROLES_OF.get(user, () if user in LOGINS else (APP_ROLE, SYSTEM_ROLE))
    rows = connection.execute(
        "SELECT rolname, pg_has_role(current_user, oid, 'SET') FROM pg_roles WHERE rolname = ANY(%s)",
        (list(wanted),),
    ).fetchall()
    missing = sorted(set(wanted) - {role for role, _ in rows})
    if missing:
        can_create = _value(connection, "SELECT rolcreaterole OR rolsuper FROM pg_roles WHERE rolname = current_user")
        if can_create:
            return ok(name, f"{', '.join(missing)} missing; {user} can create them, and migrations will")
        statements = " ".join(f"CREATE ROLE {role} NOLOGIN;" for role in missing)
        return fail(
            name,
            f"{', '.join(missing)} missing, and {user} cannot create roles",
            f"run as an administrator: {statements} GRANT {', '.join(wanted)} TO {_quoted(connection, user)};",
        )
    denied = sorted(role for role, may_assume in rows if not may_assume)
    if denied:
        return fail(
            name,
            f"{user} cannot assume {', '.join(denied)}",
            f"run as an administrator: GRANT {', '.join(denied)} TO {_quoted(connection, user)};",
        )
    return ok(name, f"{user} can assume {' and '.join(wanted) or 'none, and needs none'}")


def _login(connection: psycopg.Connection[Any]) -> Check:
    """Check that the login has no more privileges than a process needs, in case the process is compromised."""
    name = "database login"
    user, is_super, owns = connection.execute(
        "SELECT current_user, rolsuper, pg_has_role(current_user, coalesce((SELECT relowner FROM pg_class"
        " WHERE oid = to_regclass('alembic_version')), oid), 'MEMBER') AND to_regclass('alembic_version') IS NOT NULL"
        " FROM pg_roles WHERE rolname = current_user"
    ).fetchone() or ("?", False, False)
    if not (is_super or owns):
        return ok(name, f"{user} owns nothing")
    what = "is a superuser" if is_super else "owns Waybill's tables"
    return warn(
        name,
        f"{user} {what}: fine for migrations, too privileged for a process",
        "run `waybill migrate --passwords DIR` to create a login per process (docs/howto/own-services.md)",
    )


def _clock(connection: psycopg.Connection[Any]) -> Check:
    before = time()
    theirs = _value(connection, "SELECT clock_timestamp()")
    after = time()
    # The server answered in between; the midpoint is off by at most half the round trip.
    return check_clock((theirs - datetime.fromtimestamp((before + after) / 2, UTC)).total_seconds())


def _webhooks(connection: psycopg.Connection[Any]) -> Check:
    """Check that deliveries are sent when due. A slow receiver delays only its own."""
    name = "webhooks"
    if _value(connection, "SELECT to_regclass('webhook_deliveries')::text") is None:
        return ok(name, "no deliveries yet")
    if not _value(connection, f"SELECT pg_has_role(current_user, '{SYSTEM_ROLE}', 'SET')"):
        return ok(name, _UNSEEN)
    with connection.transaction():
        # A process's login can read nothing before it assumes a role.
        connection.execute(sql.SQL("SET LOCAL ROLE {}").format(sql.Identifier(SYSTEM_ROLE)))
        waiting, lanes = connection.execute(
            "SELECT count(*), count(DISTINCT lane) FROM webhook_deliveries AS delivery"
            " LEFT JOIN webhook_endpoints AS endpoint ON endpoint.id = delivery.endpoint_id"
            " WHERE delivery.state = 'pending' AND NOT is_held AND next_attempt_at < now() - interval '1 minute'"
            " AND coalesce(endpoint.state, 'active') = 'active'"
        ).fetchone() or (0, 0)
    if not waiting:
        return ok(name, "nothing is overdue")
    return warn(
        name,
        f"{waiting} deliveries to {lanes} receivers are overdue by more than a minute",
        "check that `waybill deliverer` is running; if so, see: waybill webhooks deliveries --state pending",
    )


def _graphs(connection: psycopg.Connection[Any]) -> Check:
    try:
        known = manifests()
    except Exception as error:  # noqa: BLE001 - of packages and files that are not ours
        return fail("capabilities", one_line(error), "no process can start until this is fixed")
    return check_graphs(connection, known)


def _scripts() -> Any:
    from alembic.script import ScriptDirectory

    spec = find_spec("infra")
    assert spec is not None
    assert spec.submodule_search_locations is not None
    return ScriptDirectory(str(Path(next(iter(spec.submodule_search_locations))) / "migrations"))


def _value(connection: psycopg.Connection[Any], statement: str) -> Any:
    row = connection.execute(statement).fetchone()
    return None if row is None else row[0]


def _quoted(connection: psycopg.Connection[Any], user: str) -> str:
    return sql.Identifier(user).as_string(connection)
