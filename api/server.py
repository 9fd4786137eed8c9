"""Runs the application under uvicorn."""

import os
import signal
import socket
from functools import partial
from types import FrameType
from typing import Any

import uvicorn

from api.connections import BoundedProtocol, Connections, raise_file_limit
from api.deps import Runtime
from api.main import LOG_HOLD_SECONDS, create_app
from core.kit.logging import configure_logging
from core.kit.settings import Settings
from core.kit.startup import wait_for_schema

_GRACE_SECONDS = 15
_BACKLOG = 2048
# The kernel doubles it. By default it grows to megabytes for a client that does not read.
_SEND_BUFFER_BYTES = 128 * 1024


class Server(uvicorn.Server):
    """A uvicorn server that first ends its streams and long polls when it stops, so that clients resume elsewhere."""

    def __init__(self, settings: Settings, **overrides: Any) -> None:
        self._app = create_app(settings)
        self._stall_ms = int(settings.sse_stall_seconds * 1000)
        options: dict[str, Any] = {
            "host": settings.api_host,
            "port": settings.api_port,
            "http": partial(BoundedProtocol, Connections(settings)),
            "ws": "none",
            "loop": "uvloop",
            "lifespan": "on",
            "log_config": None,
            "access_log": False,
            "server_header": False,
            "forwarded_allow_ips": settings.api_trusted_proxies,
            "timeout_keep_alive": settings.api_keep_alive_seconds,
            "timeout_graceful_shutdown": _GRACE_SECONDS,
            "backlog": _BACKLOG,
        }
        super().__init__(uvicorn.Config(self._app, **{**options, **overrides}))

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen. Options set on a listening socket apply to the connections it accepts."""
        await super().startup(sockets)
        for server in self.servers:
            for listening in server.sockets:
                _bound(listening.fileno(), self._stall_ms)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop: no new connections, streams end where they are, running requests are finished."""
        runtime: Runtime | None = getattr(self._app.state, "runtime", None)
        if runtime is not None:
            runtime.hub.stop_streams()
        await super().shutdown(sockets)


def _bound(listening: int, stall_ms: int) -> None:
    """Limit what the kernel buffers for clients that do not read, and for how long.

    Closing a connection waits for what was written: only the kernel can give up on a client that acknowledges
    everything and takes nothing (tcp(7), TCP_USER_TIMEOUT, which covers a window of zero as well).
    """
    with socket.socket(fileno=os.dup(listening)) as same:
        same.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER_BYTES)
        if hasattr(socket, "TCP_USER_TIMEOUT") and same.family in {socket.AF_INET, socket.AF_INET6}:
            same.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, stall_ms)


def run(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT, then return. Raises SystemExit when the port is taken or a setting is unusable."""
    configure_logging(settings, service="api", hold_seconds=LOG_HOLD_SECONDS)
    raise_file_limit()
    wait_for_schema(settings)
    server = Server(settings)

    def stop(number: int, _frame: FrameType | None) -> None:
        # While the server runs, its own handlers are in place. It raises the signal again once it has stopped, which
        # would make a clean stop look like a violent end; before it has started, the signal has its usual meaning.
        if not server.should_exit:
            raise SystemExit(128 + number)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    server.run()
