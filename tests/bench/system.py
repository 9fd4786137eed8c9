"""Both systems under test, side by side on one Postgres and one Valkey of their own."""

import os
import secrets
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import psycopg
from pydantic import SecretStr

from core.keys.service import KeyService
from core.kit.db import Database
from core.kit.migrate import upgrade
from core.kit.settings import Settings
from tests.bench.load import Target
from tests.factories.processes import ROOT, environment, running, start
from tests.factories.waiting import wait_until
from waybill.stack.postgres import EmbeddedPostgres, free_port
from waybill.stack.valkey import EmbeddedValkey

WORKER_SLOTS = 2


@dataclass
class Systems:
    """Where the two systems listen, and the databases behind them."""

    settings: Settings
    database: Database
    ours: Target
    naive: Target
    naive_database_url: str
    naive_environment: dict[str, str]


@contextmanager
def servers() -> Iterator[Systems]:
    """Postgres, Valkey and the two HTTP servers. Workers are started by the benchmarks that need them."""
    folder = Path(tempfile.mkdtemp(prefix="waybill-bench-"))
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        postgres = EmbeddedPostgres(folder / "postgres", settings={"max_connections": "300"})
        postgres.start()
        stack.callback(postgres.stop)
        valkey = EmbeddedValkey(folder / "valkey")
        valkey.start()
        stack.callback(valkey.stop)
        upgrade(postgres.url)
        with psycopg.connect(postgres.url, autocommit=True) as connection:
            connection.execute("CREATE DATABASE naive")
        port, naive_port = free_port(), free_port()
        settings = Settings(
            home=folder,
            database_url=SecretStr(postgres.url),
            redis_url=SecretStr(valkey.url),
            secret_key=SecretStr(secrets.token_urlsafe(32)),
            pseudonym_key=SecretStr(secrets.token_urlsafe(32)),
            project_max_concurrent_jobs=1000,
            log_level="warning",
        )
        database = Database(settings, application_name="bench", pool_size=4)
        stack.callback(database.close)
        key = create_key(settings, database)
        naive_url = postgres.url_of("naive")
        naive_environment = {**environment(settings), "DATABASE_URL": naive_url, "REDIS_URL": valkey.url}
        subprocess.run(
            [sys.executable, "-c", "from tests.bench.naive import prepare; prepare()"],
            env=naive_environment,
            cwd=ROOT,
            check=True,
        )
        ours = start(settings, "api", WAYBILL_API_PORT=str(port), WAYBILL_LOG_LEVEL="warning")
        stack.callback(ours.kill)
        naive = subprocess.Popen(
            [
                *(sys.executable, "-m", "uvicorn", "tests.bench.naive:app", "--port", str(naive_port)),
                *("--no-access-log", "--log-level", "warning"),
            ],
            env=naive_environment,
            cwd=ROOT,
        )
        stack.callback(naive.wait)
        stack.callback(naive.terminate)
        wait_until(lambda: _answers(port, "/healthz"), timeout_seconds=30, what="our API")
        wait_until(lambda: _answers(naive_port, "/docs"), timeout_seconds=30, what="the naive API")
        body = {"capability": "probe.act", "input": {"act": "noop"}}
        yield Systems(
            settings,
            database,
            Target(port, "/v1/jobs", body, {"Authorization": f"Bearer {key}"}),
            Target(naive_port, "/v1/jobs", body),
            naive_url,
            naive_environment,
        )


def create_key(settings: Settings, database: Database) -> str:
    """An API key of a fresh project."""
    with database.system() as session:
        issued = KeyService(settings).create_key(session, organization="bench", project="bench", name="bench")
    return issued.plaintext


@contextmanager
def our_workers(systems: Systems) -> Iterator[None]:
    """Our dispatcher, and one worker process of the probe pool a core, as the naive worker has one child a core."""
    with ExitStack() as stack:
        started = running(systems.settings, "workers", "dispatcher", until='"pool":"probe"', WAYBILL_LOG_LEVEL="info")
        stack.enter_context(started)
        for _ in range(os.cpu_count() or 2):
            arguments = ("workers", "worker", "probe", str(WORKER_SLOTS))
            stack.enter_context(running(systems.settings, *arguments, until="worker_ready"))
        yield


@contextmanager
def naive_workers(systems: Systems) -> Iterator[None]:
    """The naive Celery worker: prefork, one child a core."""
    from celery import Celery

    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "celery", "-A", "tests.bench.naive:celery", "worker"),
            *("-c", str(os.cpu_count() or 2), "-l", "error", "--without-gossip", "--without-mingle"),
        ],
        env=systems.naive_environment,
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    probe = Celery(broker=systems.naive_environment["REDIS_URL"])
    try:
        wait_until(
            lambda: bool(probe.control.ping(timeout=0.5)),
            timeout_seconds=30,
            what="the naive worker",
            pause_seconds=0.2,
        )
        yield
    finally:
        probe.close()
        process.terminate()
        process.wait(30)


def _answers(port: int, path: str) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}{path}", timeout=2).status_code == 200
    except httpx.HTTPError:
        return False
