"""Lets a process wait before it starts until the database holds this release's schema."""

from collections.abc import Callable
from time import monotonic, sleep

import psycopg

from core.kit.db import normalize_url
from core.kit.errors import Unavailable
from core.kit.logging import get_logger
from core.kit.migrate import newest_revision
from core.kit.settings import Settings

_CONNECT_TIMEOUT_SECONDS = 3
_PAUSE_SECONDS = 0.5
_REPORT_SECONDS = 5.0
_log = get_logger(__name__)


def wait_for_schema(settings: Settings) -> None:
    """Return once Postgres answers and was migrated to this release's schema, or to a newer release's.

    Containers start in any order: the database may be starting, and migrations may be running. Raises `Unavailable`
    (``postgres_unreachable``, ``postgres_login_refused`` or ``schema_outdated``) after ``start_timeout_seconds``.
    """
    _wait(settings, _find_problem)


def wait_for_postgres(settings: Settings) -> None:
    """Return once Postgres answers, whatever its schema: migrations wait for this.

    Raises `Unavailable` (``postgres_unreachable`` or ``postgres_login_refused``) after ``start_timeout_seconds``.
    """
    _wait(settings, _find_outage)


def _wait(settings: Settings, find_problem: Callable[[str, str], Unavailable | None]) -> None:
    if settings.database_url is None:
        return
    address = normalize_url(settings.database_url.get_secret_value()).set(drivername="postgresql")
    url = address.render_as_string(hide_password=False)
    where = f"{address.host or 'the local socket'}:{address.port or 5432}"
    deadline = monotonic() + settings.start_timeout_seconds
    next_report = 0.0
    while (problem := find_problem(url, where)) is not None:
        if monotonic() >= deadline:
            raise problem
        if monotonic() >= next_report:
            next_report = monotonic() + _REPORT_SECONDS
            _log.warning("start_waits", reason=problem.code, address=where)
        sleep(_PAUSE_SECONDS)


def _find_problem(url: str, where: str) -> Unavailable | None:
    try:
        with psycopg.connect(url, autocommit=True, connect_timeout=_CONNECT_TIMEOUT_SECONDS) as connection:
            found = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    except psycopg.errors.UndefinedTable:
        found = None
    except psycopg.Error as error:
        return _unreachable(where, error)
    # A revision unknown to this release is a newer release's, which keeps everything this one needs.
    if found is None or found[0] < newest_revision():
        return Unavailable(
            f"the database at {where} has an older schema than this release; run `waybill migrate`",
            code="schema_outdated",
        )
    return None


def _find_outage(url: str, where: str) -> Unavailable | None:
    try:
        psycopg.connect(url, connect_timeout=_CONNECT_TIMEOUT_SECONDS).close()
    except psycopg.Error as error:
        return _unreachable(where, error)
    return None


def _unreachable(where: str, error: psycopg.Error) -> Unavailable:
    # libpq passes on no SQLSTATE of a refused connection. Running migrations may be about to set the password.
    if "password" in str(error):
        return Unavailable(
            f"Postgres at {where} refuses the login or its password; run `waybill migrate --passwords DIR`",
            code="postgres_login_refused",
        )
    return Unavailable(f"Postgres at {where} does not answer ({type(error).__name__})", code="postgres_unreachable")
