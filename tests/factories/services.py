"""The real servers under the tests: one Postgres a run, one database and one Valkey a test process.

Postgres is started by whichever test process needs it first and stopped by the last one to leave, counted in a folder
the processes of a run share. A database is a copy of a template that the real migrations built. The modules of a
process share one, kept apart as tenants are; a module marked ``own_database`` or ``stack`` has one to itself.

The whole suite also runs by way of PgBouncer or TLS (`tests.factories.entrances`): then the addresses of databases, and
of Valkey, lead through them. ``postgres_url``, for what an administrator does, is always the server's own.
"""

import contextlib
import fcntl
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from pydantic import SecretStr
from sqlalchemy.engine import make_url

from core.kit.migrate import upgrade
from core.kit.processes import LOGINS, set_passwords
from core.kit.settings import Settings
from core.kit.signing import generate_seed
from tests.factories.entrances import KIND, TlsValkey, entrance_of_run, through
from tests.factories.waiting import wait_until
from waybill.stack.postgres import EmbeddedPostgres
from waybill.stack.valkey import EmbeddedValkey

_TEMPLATE = "waybill_template"
# The logins are the server's, and so are theirs.
PASSWORDS = {login: f"{login}_of_the_tests" for login in LOGINS}
# How the names of databases begin that the modules of a test process share.
SHARED = "shared_"
# No test pulls the plug of this server: those that do start one of their own.
_POSTGRES_SETTINGS = {
    "max_connections": "300",
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
}


# What is before a server, by the server's own address; empty for nothing.
_ENTRANCES: dict[str, str] = {}


@pytest.fixture(scope="session")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that all processes of this run share."""
    base = tmp_path_factory.getbasetemp()
    return base.parent if "PYTEST_XDIST_WORKER" in os.environ else base


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    with (folder / "services.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@pytest.fixture(scope="session")
def postgres_url(run_folder: Path) -> Iterator[str]:
    """A Postgres server of this run, or the one that DATABASE_URL names; has a migrated template database."""
    given = os.environ.get("DATABASE_URL")
    if given:
        made = run_folder / "template.made"
        with _locked(run_folder):
            # Once a run: making it again would pull it away from a process that is copying it.
            if not made.exists():
                _make_template(given)
                made.touch()
        yield given
        return
    address, users = run_folder / "postgres.url", run_folder / "postgres.users"
    server: EmbeddedPostgres | None = None
    entrance = None
    with _locked(run_folder):
        if not address.exists():
            server = EmbeddedPostgres(run_folder / "postgres", settings=_POSTGRES_SETTINGS)
            server.start()
            _make_template(server.url)
            entrance = entrance_of_run(run_folder, server.url)
            _entrance_file(run_folder).write_text("" if entrance is None else entrance.start(), encoding="utf-8")
            address.write_text(server.url, encoding="utf-8")
        users.write_text(str(_count(users) + 1), encoding="utf-8")
        url = address.read_text(encoding="utf-8")
        _ENTRANCES[url] = _entrance_file(run_folder).read_text(encoding="utf-8")
    yield url
    with _locked(run_folder):
        users.write_text(str(_count(users) - 1), encoding="utf-8")
    if server is not None:
        # The process that started it also ends it, after the others have left.
        wait_until(
            lambda: _ended_as_the_last(server, run_folder, address, users),
            timeout_seconds=900,
            what="the other test processes to leave",
            pause_seconds=0.2,
        )
        if entrance is not None:
            entrance.stop()


def _entrance_file(run_folder: Path) -> Path:
    return run_folder / "postgres.entrance"


def _ended_as_the_last(server: EmbeddedPostgres, run_folder: Path, address: Path, users: Path) -> bool:
    """Stop `server` unless somebody uses it; a process that asks from then on starts one of its own."""
    with _locked(run_folder):
        if _count(users) > 0:
            return False
        address.unlink()
        server.stop()
        return True


def _count(path: Path) -> int:
    return int(path.read_text(encoding="utf-8")) if path.exists() else 0


def _make_template(server_url: str) -> None:
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE IF EXISTS {_TEMPLATE} WITH (FORCE)")
        connection.execute(f"CREATE DATABASE {_TEMPLATE}")
    upgrade(_renamed(server_url, _TEMPLATE))
    set_passwords(server_url, PASSWORDS)


def _renamed(server_url: str, database: str) -> str:
    return make_url(server_url).set(database=database).render_as_string(hide_password=False)


def new_database(server_url: str, prefix: str = "test_") -> str:
    """A fresh copy of the migrated template; returns its URL."""
    name = f"{prefix}{secrets.token_hex(6)}"
    with psycopg.connect(server_url, autocommit=True) as connection:
        # Copies of one template exclude each other; the lock turns a failure into a short wait.
        connection.execute("SELECT pg_advisory_lock(7201950)")
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {_TEMPLATE}")
    return through(_ENTRANCES.get(server_url, ""), _renamed(server_url, name))


def direct(database_url: str) -> str:
    """The same database, past what the run goes through: a pooler is not backed up, nor has the wheel's pg_dump TLS."""
    for server_url, entrance in _ENTRANCES.items():
        if entrance and make_url(entrance).port == make_url(database_url).port:
            return _renamed(server_url, make_url(database_url).database or "")
    return database_url


def drop_database(server_url: str, database_url: str) -> None:
    """Remove a database made by `new_database`."""
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE IF EXISTS {make_url(database_url).database} WITH (FORCE)")


@pytest.fixture(scope="session")
def process_database_url(postgres_url: str) -> Iterator[str]:
    """The migrated database that the modules of this test process share."""
    url = new_database(postgres_url, SHARED)
    yield url
    drop_database(postgres_url, url)


@pytest.fixture(scope="module")
def own_database_url(postgres_url: str) -> Iterator[str]:
    """A migrated database of this module's own."""
    url = new_database(postgres_url)
    yield url
    drop_database(postgres_url, url)


@pytest.fixture(scope="module")
def database_url(request: pytest.FixtureRequest) -> str:
    """The database of this test process, or this module's own where it is marked ``own_database`` or ``stack``."""
    marked = any(request.node.get_closest_marker(name) for name in ("own_database", "stack"))
    url: str = request.getfixturevalue("own_database_url" if marked else "process_database_url")
    return url


@pytest.fixture(scope="session")
def shared_valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedValkey | None]:
    """The Valkey of this test process; None when REDIS_URL names another server."""
    if os.environ.get("REDIS_URL"):
        yield None
        return
    server = (TlsValkey if KIND == "tls" else EmbeddedValkey)(tmp_path_factory.mktemp("valkey"))
    server.start()
    yield server
    server.stop()
    if isinstance(server, TlsValkey):
        server.close()


@pytest.fixture
def valkey(shared_valkey: EmbeddedValkey | None) -> Iterator[EmbeddedValkey]:
    """The Valkey of this test process, for tests that stop, flush or kill it; running and empty at the start."""
    if shared_valkey is None:
        pytest.skip("REDIS_URL is set: the tests do not stop a server they did not start")
    shared_valkey.start()
    shared_valkey.flush()
    yield shared_valkey
    shared_valkey.start()


@pytest.fixture
def redis_url(shared_valkey: EmbeddedValkey | None) -> str:
    """The address of a running Redis or Valkey."""
    if shared_valkey is None:
        return os.environ["REDIS_URL"]
    shared_valkey.start()
    return shared_valkey.url


@pytest.fixture
def settings(database_url: str, redis_url: str, tmp_path: Path) -> Settings:
    """Settings over this test's servers and folder, with short leases so that recovery is quick."""
    home = tmp_path / "home"
    home.mkdir()
    return Settings(
        home=home,
        database_url=SecretStr(database_url),
        redis_url=SecretStr(redis_url),
        secret_key=SecretStr(secrets.token_urlsafe(32)),
        pseudonym_key=SecretStr(secrets.token_urlsafe(32)),
        signing_key=SecretStr(generate_seed()),
        key_prefix=f"t{secrets.token_hex(4)}",
        lease_seconds=3.0,
        heartbeat_seconds=1.0,
        dispatcher_sweep_seconds=0.5,
        redispatch_after_seconds=2.0,
        drain_seconds=5.0,
    )
