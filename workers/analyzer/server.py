"""The guard's process: listens, loads its children, answers until SIGTERM, then finishes open requests."""

import os
import signal
import socket
from pathlib import Path
from types import FrameType
from urllib.parse import urlsplit

import uvicorn

from core.kit.errors import Unavailable
from core.kit.logging import configure_logging, get_logger
from core.kit.metrics import serve_metrics
from core.kit.settings import Settings
from workers.analyzer.app import create_app
from workers.analyzer.batches import ENTRY, Batches

_BACKLOG = 1024
_CONNECTIONS_MAX = 1024
_KEEP_ALIVE_SECONDS = 75
_UNIX = "unix://"
_log = get_logger(__name__)


def main(settings: Settings, url: str, *, entry: str = ENTRY) -> int:
    """Serve on `url` (``unix:///PATH`` or ``http://HOST:PORT``) until SIGTERM or SIGINT; returns the exit code.

    Each child loads `entry`. Raises `Unavailable` when the address cannot be listened on.
    """
    configure_logging(settings, service="guard")
    listening = listen(url)
    path = Path(url.removeprefix(_UNIX)) if url.startswith(_UNIX) else None
    inode = path.stat().st_ino if path else 0
    if settings.metrics_port:
        serve_metrics(settings.metrics_port, settings.metrics_host)
    server = _Server(settings, entry)
    try:
        server.run(sockets=[listening])
    finally:
        listening.close()
        # Unless a successor already listens there.
        if path and path.exists() and path.stat().st_ino == inode:
            path.unlink()
    _log.info("analyzer_stopped")
    return server.exit_code


def listen(url: str) -> socket.socket:
    """A socket that listens on `url`; in the file system, only its owner may connect. Raises `Unavailable`."""
    try:
        if url.startswith(_UNIX):
            return _listen_in_file_system(Path(url.removeprefix(_UNIX)))
        parts = urlsplit(url)
        family = socket.AF_INET6 if ":" in (parts.hostname or "") else socket.AF_INET
        return socket.create_server((parts.hostname or "", parts.port or 0), family=family, backlog=_BACKLOG)
    except (OSError, ValueError, OverflowError) as error:
        raise Unavailable(f"the guard cannot listen on {url}: {error}", code="guard_address_unusable") from error


class _Server(uvicorn.Server):
    def __init__(self, settings: Settings, entry: str) -> None:
        self.exit_code = 0
        self._batches = Batches(
            size=settings.guard_processes,
            timeout_seconds=settings.guard_timeout_seconds,
            failed=self._give_up,
            entry=entry,
        )
        super().__init__(
            uvicorn.Config(
                create_app(self._batches, settings.guard_timeout_seconds),
                http="httptools",
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                backlog=_BACKLOG,
                limit_concurrency=_CONNECTIONS_MAX,
                timeout_keep_alive=_KEEP_ALIVE_SECONDS,
                timeout_graceful_shutdown=int(settings.guard_timeout_seconds) + 1,
            )
        )

    def run(self, sockets: list[socket.socket] | None = None) -> None:
        def stop(_number: int, _frame: FrameType | None) -> None:
            # While the server runs, its own handlers are in place. It raises the signal again once it has stopped.
            self.should_exit = True

        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, stop)
        self._batches.start()
        try:
            super().run(sockets)
        finally:
            self._batches.close()

    def _give_up(self) -> None:
        self.exit_code = 1
        self.should_exit = True


def _listen_in_file_system(path: Path) -> socket.socket:
    if path.is_socket() and not _answers(path):
        # Left over from a killed process.
        path.unlink()
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o177)
    try:
        listening.bind(str(path))
        listening.listen(_BACKLOG)
    except BaseException:
        listening.close()
        raise
    finally:
        os.umask(before)
    return listening


def _answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            return False
        return True
