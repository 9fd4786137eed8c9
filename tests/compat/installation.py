"""One Postgres, one Valkey, and the processes of two releases on them."""

import os
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from core.kit.processes import LOGINS, SECRETS, Process, address_of
from core.kit.signing import generate_seed
from tests.compat.releases import Release
from tests.factories.waiting import wait_until
from waybill.stack.postgres import EmbeddedPostgres, free_port
from waybill.stack.valkey import EmbeddedValkey

POOLS = ("probe", "knowledge")
_START_SECONDS = 240.0
_STOP_SECONDS = 60.0
_COMMAND_SECONDS = 120.0
_SETTINGS = {
    "WAYBILL_EXTRA_CAPABILITIES": '["tests.factories.capabilities:ALL"]',
    "WAYBILL_WEBHOOK_ALLOWED_NETWORKS": '["127.0.0.0/8"]',
    "WAYBILL_DRAIN_SECONDS": "3",
    "WAYBILL_DISPATCHER_SWEEP_SECONDS": "1",
    "PYTHONWARNINGS": "default",
}


class Running:
    """A process of a release, and the file that holds what it logged."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path, name: str) -> None:
        self.process = process
        self.name = name
        self._log = log

    def wait_for(self, text: str) -> None:
        """Wait until `text` was logged. Fails at once when the process ended without it."""

        self.wait_until(lambda: text in self.output(), f"log {text}")

    def wait_until(self, condition: Callable[[], bool], what: str) -> None:
        """Wait until it has done something. Fails at once when it ended before."""

        def done() -> bool:
            is_running = self.process.poll() is None
            is_done = condition()
            assert is_done or is_running, f"{self.name} ended with {self.process.returncode}"
            return is_done

        try:
            wait_until(done, timeout_seconds=_START_SECONDS, what=f"{self.name} to {what}", pause_seconds=0.2)
        except AssertionError as error:
            raise AssertionError(f"{error}; it said: {self.output()[-1500:]}") from error

    def output(self) -> str:
        """Everything logged so far."""
        return self._log.read_text(encoding="utf-8", errors="replace")

    def wait_for_end(self) -> None:
        """After one SIGTERM, as Kubernetes and Compose send it, it must end by itself, without an error."""
        code = self.process.wait(_STOP_SECONDS)
        assert code == 0, f"{self.name} ended with {code}: {self.output()[-1500:]}"

    def kill(self) -> None:
        """Leave nothing behind."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(_STOP_SECONDS)


@dataclass
class Installation:
    """What both releases share: servers, secrets, passwords, a folder of blobs."""

    folder: Path
    owner_url: str
    redis_url: str
    secrets: dict[str, str]
    running: list[Running] = field(default_factory=list)

    def run(self, release: Release, *arguments: str) -> str:
        """What the command line of `release` prints, run by an operator. Raises AssertionError when it fails."""
        done = subprocess.run(
            [release.python, "-m", "waybill", *arguments],
            cwd=release.folder,
            env=self._environment(release, None),
            check=False,
            capture_output=True,
            text=True,
            timeout=_COMMAND_SECONDS,
        )
        said = (done.stdout + done.stderr)[-2000:]
        assert done.returncode == 0, f"{release.name}: waybill {' '.join(arguments)}: {said}"
        return done.stdout

    def migrate(self, release: Release) -> None:
        """Bring the database to the newest schema that `release` knows."""
        options = ("--passwords", str(self.folder / "passwords")) if release.has_logins else ()
        self.run(release, "migrate", *options)

    def start(self, release: Release) -> tuple[str, list[Running]]:
        """Start an API, a dispatcher, a deliverer and a worker a pool; returns the API's address once all are ready."""
        port = free_port()
        api = self._start(release, Process.API, "api", WAYBILL_API_PORT=str(port))
        awaited = [
            (self._start(release, Process.DISPATCHER, "workers", "dispatcher"), "dispatcher_started"),
            (self._start(release, Process.DELIVERER, "workers", "deliverer"), "deliverer_started"),
        ]
        awaited += [
            (self._start(release, Process.WORKER, "workers", "worker", pool, "2"), "worker_ready") for pool in POOLS
        ]
        url = f"http://127.0.0.1:{port}"
        api.wait_until(lambda: _is_ready(url), "be ready")
        for process, ready in awaited:
            process.wait_for(ready)
        return url, [api, *(process for process, _ in awaited)]

    def _start(self, release: Release, kind: Process, *arguments: str, **extra: str) -> Running:
        name = "-".join((release.name, *(word for word in arguments if not word.isdigit())))
        log = self.folder / f"{name}.log"
        with log.open("wb") as file:
            process = subprocess.Popen(
                [release.python, "-m", *arguments],
                cwd=release.folder,
                env={**self._environment(release, kind), **extra},
                stdout=file,
                stderr=file,
            )
        self.running.append(Running(process, log, name))
        return self.running[-1]

    def _environment(self, release: Release, kind: Process | None) -> dict[str, str]:
        inherited = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith("WAYBILL_") and name not in {"DATABASE_URL", "REDIS_URL", "PYTHONPATH"}
        }
        address = self.owner_url
        if kind is not None and kind.login is not None and release.has_logins:
            password = (self.folder / "passwords" / f"{kind.login}.password").read_text(encoding="ascii")
            address = address_of(self.owner_url, kind.login, password)
        given = {
            name: value
            for name, value in self.secrets.items()
            # An operator has them all, and so had every process before each had a login.
            if kind is None or not release.has_logins or name.removeprefix("WAYBILL_").lower() in SECRETS[kind]
        }
        return {
            **inherited,
            **_SETTINGS,
            **given,
            "WAYBILL_HOME": str(self.folder / "home"),
            "DATABASE_URL": address,
            "REDIS_URL": self.redis_url,
            "PYTHONPATH": str(release.folder),
        }


@contextmanager
def new_installation() -> Iterator[Installation]:
    """Empty servers in a folder of their own; everything is gone at the end."""
    with ExitStack() as stack:
        folder = Path(tempfile.mkdtemp(prefix="waybill-compat-"))
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        (folder / "home").mkdir()
        (folder / "passwords").mkdir()
        for login in LOGINS:
            (folder / "passwords" / f"{login}.password").write_text(secrets.token_hex(16), encoding="ascii")
        # Nothing here pulls its plug.
        postgres = EmbeddedPostgres(folder / "postgres", settings={"fsync": "off", "synchronous_commit": "off"})
        valkey = EmbeddedValkey(folder / "valkey")
        for server in (postgres, valkey):
            server.start()
            stack.callback(server.stop)
        signing = {"WAYBILL_SECRET_KEY": secrets.token_urlsafe(32), "WAYBILL_SIGNING_KEY": generate_seed()}
        made = Installation(folder, postgres.url, valkey.url, signing)

        def kill_all() -> None:
            for process in made.running:
                process.kill()

        stack.callback(kill_all)
        yield made


def _is_ready(url: str) -> bool:
    try:
        answer = httpx.get(f"{url}/readyz", timeout=5)
        return answer.status_code == 200 and answer.json()["status"] == "ready"
    except (httpx.HTTPError, ValueError):
        return False
