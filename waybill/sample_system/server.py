"""The system over streamable HTTP (MCP), behind a bearer token."""

import hmac
import socket
import threading
from types import TracebackType
from typing import Self

import uvicorn
from mcp.server.fastmcp import FastMCP
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from waybill.sample_system.database import SampleDatabase, ensure_database
from waybill.sample_system.tools import add_tools

PATH = "/mcp"
_START_SECONDS = 20.0


class BearerToken:
    """Answers 401 to requests without `token`, and passes the others on."""

    def __init__(self, app: ASGIApp, token: str) -> None:
        self._app = app
        self._expected = f"Bearer {token}".encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request (ASGI)."""
        if scope["type"] == "http":
            given = dict(scope["headers"]).get(b"authorization", b"")
            if not hmac.compare_digest(given, self._expected):
                refusal = JSONResponse({"error": "unauthorized"}, 401, {"WWW-Authenticate": "Bearer"})
                await refusal(scope, receive, send)
                return
        await self._app(scope, receive, send)


def make_app(database: SampleDatabase, token: str, *, host: str = "127.0.0.1") -> Starlette:
    """The ASGI application. It keeps no session between requests, so that it can be restarted between calls."""
    server = FastMCP(
        "veldhaven-customer-system",
        instructions="Customers, orders, shipments, refunds and tickets of Veldhaven, a parcel company.",
        host=host,
        stateless_http=True,
        json_response=True,
        log_level="WARNING",
    )
    add_tools(server, database)
    app = server.streamable_http_app()
    app.add_middleware(BearerToken, token=token)
    return app


class SampleSystem:
    """The whole system, served from a thread of this process between entering and leaving the block.

    `server_url` names a Postgres server on which it creates its own database; `url` is the address of its tools.
    """

    def __init__(self, server_url: str, token: str, *, host: str = "127.0.0.1", port: int = 0, **names: str) -> None:
        self._server_url = server_url
        self._names = names
        self._token = token
        self._socket = socket.socket()
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._socket.bind((host, port))
        self._host = host
        self.port: int = self._socket.getsockname()[1]
        self.url = f"http://{host}:{self.port}{PATH}"
        self.database_url = ""
        self._server: uvicorn.Server | None = None
        self._thread: threading.Thread | None = None

    @property
    def database(self) -> SampleDatabase:
        """The database behind the tools. Raises AttributeError before the block is entered."""
        return self._database

    def __enter__(self) -> Self:
        self.database_url = ensure_database(self._server_url, **self._names)
        self._database = SampleDatabase(self.database_url)
        self._database.prepare()
        self._server = open_server(self._database, self._token, host=self._host)
        self._thread = threading.Thread(target=self._server.run, args=([self._socket],), name="sample-system")
        self._thread.start()
        waiting = threading.Event()
        for _ in range(int(_START_SECONDS / 0.02)):
            if self._server.started:
                return self
            waiting.wait(0.02)
        self.__exit__(None, None, None)
        raise TimeoutError("the sample system did not start")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._server is not None and self._thread is not None:
            self._server.should_exit = True
            self._thread.join()
        self._socket.close()
        self._database.close()


def open_server(database: SampleDatabase, token: str, *, host: str, port: int = 0) -> uvicorn.Server:
    """The HTTP server, not running yet."""
    return uvicorn.Server(
        uvicorn.Config(
            make_app(database, token, host=host),
            host=host,
            port=port,
            log_config=None,
            access_log=False,
            lifespan="on",
            timeout_graceful_shutdown=5,
        )
    )
