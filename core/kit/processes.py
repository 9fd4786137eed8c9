"""The kinds of process, their logins, and the secrets each may hold: one table for stack, compose and chart."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, LiteralString, get_args

import psycopg
from psycopg import sql
from pydantic import SecretStr

from core.kit.db import APP_ROLE, SYSTEM_ROLE, normalize_url
from core.kit.settings import Settings


class Process(StrEnum):
    """A kind of process of the product."""

    API = "api"
    WORKER = "worker"
    DISPATCHER = "dispatcher"
    DELIVERER = "deliverer"
    FLOWER = "flower"
    BACKUP = "backup"
    GUARD = "guard"

    @property
    def login(self) -> str | None:
        """Its login at Postgres; None for a process that does not connect to it."""
        return None if self in {Process.FLOWER, Process.GUARD} else f"waybill_{self.value}"


_STORES = frozenset(("database_url", "redis_url", "azure_storage_connection_string"))
_PSEUDONYMS = frozenset(("pseudonym_key", "pseudonym_keys_retired"))
SECRETS: Mapping[Process, frozenset[str]] = {
    Process.API: _STORES | _PSEUDONYMS | {"secret_key", "secret_keys_retired", "signing_key"},
    # A process that calls models and tools holds no signing key, and opens only the values it had to hide from them.
    Process.WORKER: _STORES | _PSEUDONYMS | {"model_api_key", "web_search_key"},
    Process.DISPATCHER: _STORES | {"signing_key"},
    Process.DELIVERER: frozenset(("database_url", "secret_key", "secret_keys_retired")),
    Process.FLOWER: frozenset(("redis_url", "flower_password")),
    # It lists the secret keys in the backup, and proves that they open the sealed values.
    Process.BACKUP: _PSEUDONYMS
    | {"database_url", "azure_storage_connection_string", "secret_key", "secret_keys_retired"},
    # It reads the texts of every tenant, so it can reach nothing and sign nothing.
    Process.GUARD: frozenset(),
}
BACKUP_LOGIN = "waybill_backup"
# The autoscaler's login may call one function for the pools' demand and read nothing.
SCALER_LOGIN = "waybill_scaler"
LOGINS = (*(process.login for process in Process if process.login), SCALER_LOGIN)
# A server without Waybill's own backup needs no password for this one.
OPTIONAL_LOGINS = frozenset((BACKUP_LOGIN,))
# The roles that each of them may assume.
ROLES_OF: Mapping[str, tuple[str, ...]] = {
    "waybill_api": (APP_ROLE, SYSTEM_ROLE),
    "waybill_worker": (APP_ROLE, SYSTEM_ROLE),
    "waybill_dispatcher": (APP_ROLE, SYSTEM_ROLE),
    "waybill_deliverer": (SYSTEM_ROLE,),
}


def secret_settings() -> frozenset[str]:
    """The names of the settings that are secrets."""
    return frozenset(
        name
        for name, field in Settings.model_fields.items()
        if SecretStr in (field.annotation, *get_args(field.annotation))
    )


def address_of(database_url: str, login: str, password: str) -> str:
    """`database_url` for another login."""
    url = normalize_url(database_url).set(drivername="postgresql", username=login, password=password)
    return url.render_as_string(hide_password=False)


def set_passwords(owner_url: str, passwords: Mapping[str, str]) -> None:
    """Set logins' passwords, sent as Postgres stores them (SCRAM). Existing connections stay connected."""
    if not passwords:
        return
    url = normalize_url(owner_url).set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(url, prepare_threshold=None) as connection:
        # Two concurrent calls would change one row of the catalog.
        connection.execute("SELECT pg_advisory_xact_lock(7201959)")
        for login, password in passwords.items():
            hashed = connection.pgconn.encrypt_password(password.encode(), login.encode(), b"scram-sha-256").decode()
            connection.execute(sql.SQL("ALTER ROLE {} PASSWORD {}").format(sql.Identifier(login), sql.Literal(hashed)))


def create_roles(connection: psycopg.Connection[Any]) -> None:
    """Create the roles and logins of the product that its server lacks, as the migrations do, without passwords.

    They belong to the server, not to the database: a dump grants to them but does not contain them. Adds to the
    caller's transaction, which needs CREATEROLE where one is missing.
    """
    found = {name for (name,) in connection.execute("SELECT rolname FROM pg_roles").fetchall()}
    for role in sorted({APP_ROLE, SYSTEM_ROLE} - found):
        connection.execute(sql.SQL("CREATE ROLE {} NOLOGIN").format(sql.Identifier(role)))
    for login in sorted(set(LOGINS) - found):
        connection.execute(sql.SQL("CREATE ROLE {} LOGIN NOINHERIT").format(sql.Identifier(login)))
    for login, roles in ROLES_OF.items():
        for role in roles:
            _grant(connection, role, login, "WITH INHERIT FALSE, SET TRUE")
    owner = connection.info.user
    for role in (APP_ROLE, SYSTEM_ROLE):
        _grant(connection, role, owner, "")


def _grant(connection: psycopg.Connection[Any], role: str, member: str, options: LiteralString) -> None:
    granted = connection.execute(
        "SELECT FROM pg_auth_members WHERE roleid = %s::regrole AND member = %s::regrole AND set_option", (role, member)
    ).fetchone()
    if granted is None:
        statement = sql.SQL("GRANT {} TO {} " + options)
        connection.execute(statement.format(sql.Identifier(role), sql.Identifier(member)))
