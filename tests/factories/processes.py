"""Starts the product's own processes for tests, and ends them: by request, by force, or in the middle of something."""

import os
import signal
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import psycopg

from core.kit.processes import SECRETS, address_of, set_passwords
from core.kit.processes import Process as Kind
from core.kit.settings import Settings
from tests.factories.forking import fork
from tests.factories.services import PASSWORDS, SHARED
from tests.factories.waiting import wait_until
from waybill.stack.fork_server import Forked

ROOT = Path(__file__).resolve().parents[2]


_ROLES = {
    "api": Kind.API,
    "dispatcher": Kind.DISPATCHER,
    "deliverer": Kind.DELIVERER,
    "worker": Kind.WORKER,
    "pool": Kind.WORKER,
}


@cache
def logged_in(database_url: str, kind: Kind) -> str:
    """The address for the login of that kind of process; on a server of a test's own the logins get passwords first."""
    assert kind.login is not None
    address = address_of(database_url, kind.login, PASSWORDS[kind.login])
    try:
        psycopg.connect(address).close()
    except psycopg.OperationalError:
        try:
            set_passwords(database_url, PASSWORDS)
        except (psycopg.errors.UndefinedObject, psycopg.OperationalError):
            return database_url  # nobody has migrated it, or it does not run
    return address


def environment(settings: Settings, kind: Kind | None = None, **extra: str) -> dict[str, str]:
    """The environment under which a child process sees the same settings as the test, with the secrets of its kind."""
    assert settings.database_url is not None
    assert settings.redis_url is not None
    assert settings.secret_key is not None
    address = settings.database_url.get_secret_value()
    # Dispatchers and sweeps would work on what other modules have left in it.
    assert SHARED not in address, "mark this module `own_database`: it starts processes"
    values = {
        "DATABASE_URL": address if kind is None else logged_in(address, kind),
        "WAYBILL_HOME": str(settings.home),
        "WAYBILL_KEY_PREFIX": settings.key_prefix,
        "WAYBILL_EXTRA_CAPABILITIES": '["tests.factories.capabilities:ALL"]',
        "WAYBILL_DATABASE_PREPARED_STATEMENTS": str(settings.database_prepared_statements),
        "WAYBILL_LEASE_SECONDS": str(settings.lease_seconds),
        "WAYBILL_HEARTBEAT_SECONDS": str(settings.heartbeat_seconds),
        "WAYBILL_REDISPATCH_AFTER_SECONDS": str(settings.redispatch_after_seconds),
        "WAYBILL_DISPATCHER_SWEEP_SECONDS": str(settings.dispatcher_sweep_seconds),
        "WAYBILL_CONSUMPTION_TIMEOUT_SECONDS": str(settings.consumption_timeout_seconds),
        "WAYBILL_DRAIN_SECONDS": str(settings.drain_seconds),
        "WAYBILL_PROJECT_MAX_CONCURRENT_JOBS": str(settings.project_max_concurrent_jobs),
        "PYTHONPATH": str(ROOT),
        "PYTHONWARNINGS": "default",
    }
    secrets = {
        "REDIS_URL": settings.redis_url,
        "WAYBILL_SECRET_KEY": settings.secret_key,
        "WAYBILL_PSEUDONYM_KEY": settings.pseudonym_key,
    }
    for name, secret in secrets.items():
        if secret is not None and (kind is None or name.removeprefix("WAYBILL_").lower() in SECRETS[kind]):
            values[name] = secret.get_secret_value()
    inherited = {
        name: value for name, value in os.environ.items() if not name.startswith("WAYBILL_") and name not in secrets
    }
    return {**inherited, **values, **extra}


class Process:
    """A running process of the product and the file that holds what it logged."""

    def __init__(self, forked: Forked, log: Path) -> None:
        self._forked = forked
        self.log = log

    @property
    def pid(self) -> int:
        """Its process id, which is also that of its group."""
        return self._forked.pid

    @property
    def exit_code(self) -> int | None:
        """What it ended with, minus the signal that ended it; None while it runs."""
        return self._forked.poll()

    def output(self) -> str:
        """Everything logged so far."""
        return self.log.read_text(encoding="utf-8", errors="replace")

    def wait_for(self, text: str, timeout_seconds: float = 60) -> None:
        """Wait until `text` was logged. Fails at once when the process ended without it."""

        def logged() -> bool:
            code = self.exit_code
            if text in self.output():
                return True
            assert code is None, f"ended with {code}: {self.output()[-2000:]}"
            return False

        wait_until(logged, timeout_seconds=timeout_seconds, what=f"{text!r} in the log")

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the process itself, not to its children."""
        if self.exit_code is None:
            os.kill(self.pid, number)

    def wait(self, timeout_seconds: float) -> int:
        """Wait for its end; returns the exit code. Raises `TimeoutError`."""
        return self._forked.wait(timeout_seconds)

    def stop(self, timeout_seconds: float = 30) -> int:
        """SIGTERM and wait; returns the exit code."""
        self.signal(signal.SIGTERM)
        return self.wait(timeout_seconds)

    def kill(self) -> None:
        """SIGKILL the whole process group, as a lost machine would."""
        if self.exit_code is None:
            os.killpg(self.pid, signal.SIGKILL)
        self.wait(10)


def start(settings: Settings, *arguments: str, **extra: str) -> Process:
    """Run what ``python -m`` with `arguments` does, in a process group of its own."""
    descriptor, path = tempfile.mkstemp(prefix="waybill-test-", suffix=".log", dir=settings.home)
    os.close(descriptor)
    role = next((_ROLES[word] for word in arguments if word in _ROLES), None)
    return Process(fork(arguments, environment(settings, role, **extra), ROOT, Path(path)), Path(path))


@contextmanager
def running(settings: Settings, *arguments: str, until: str, **extra: str) -> Iterator[Process]:
    """A process that has logged `until`; stopped at the end, or killed if it does not stop."""
    process = start(settings, *arguments, **extra)
    try:
        process.wait_for(until)
        yield process
    finally:
        try:
            process.stop(20)
        except TimeoutError:
            process.kill()


@contextmanager
def dispatcher(settings: Settings, **extra: str) -> Iterator[Process]:
    """A running dispatcher that owns the pool of the probes."""
    with running(settings, "workers", "dispatcher", until='"pool":"probe"', **extra) as process:
        yield process


@contextmanager
def worker(settings: Settings, pool: str = "probe", concurrency: int = 2, **extra: str) -> Iterator[Process]:
    """A running worker that consumes."""
    with running(settings, "workers", "worker", pool, str(concurrency), until="worker_ready", **extra) as process:
        yield process


@contextmanager
def pool_of(settings: Settings, pool: str = "probe", concurrency: int = 2, **extra: str) -> Iterator[Process]:
    """A running worker under the product's own supervisor, which has the pid."""
    with running(settings, "workers", "pool", pool, str(concurrency), until="worker_ready", **extra) as process:
        yield process


@contextmanager
def supervised_worker(settings: Settings, pool: str = "probe", concurrency: int = 2) -> Iterator[list[Process]]:
    """A worker that is started again whenever it ends, as `waybill up` and Kubernetes do; yields all there were.

    kombu sometimes takes the whole worker down when its broker vanishes (an AttributeError inside its own clean-up), so
    what has to survive the loss of a broker is the supervised worker.
    """
    command = ("workers", "worker", pool, str(concurrency))
    processes = [start(settings, *command)]
    processes[0].wait_for("worker_ready")
    ending = threading.Event()

    def supervise() -> None:
        while not ending.wait(0.2):
            if processes[-1].exit_code is not None:
                processes.append(start(settings, *command))

    thread = threading.Thread(target=supervise, daemon=True)
    thread.start()
    try:
        yield processes
    finally:
        ending.set()
        thread.join(10)
        for process in processes:
            try:
                process.stop(20)
            except TimeoutError:
                process.kill()


def settings_of(settings: Settings, **changes: object) -> Settings:
    """A copy of `settings` with `changes`."""
    return settings.model_copy(update=changes)
