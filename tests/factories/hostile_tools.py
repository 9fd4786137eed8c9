"""An MCP server over a socket whose tools answer whatever a test wants, well formed or not."""

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn
from mcp.server.fastmcp import FastMCP
from mcp.types import CallToolResult, ImageContent, TextContent

SECRET = "boom of the database at 10.0.0.7"
CUSTOMER = {"customer_id": "C1", "name": "Anna"}
# By the quirk that stands in the argument: the text of the answer.
TEXTS: dict[str, str] = {
    "good": json.dumps(CUSTOMER),
    "nul": json.dumps(CUSTOMER | {"name": "An\x00na"}),
    "surrogate": '{"customer_id":"C1","name":"An\\ud83dna"}',
    "number": json.dumps({"customer_id": 123, "name": "Anna"}),
    "wide": '{"customer_id":123456789012345678901234567890,"name":"x"}',
    "large": json.dumps(CUSTOMER | {"name": "x" * 10_000_000}),
    "html": "<html>login</html>",
    "empty": "",
    # Not called null: the server takes an argument of that name for None.
    "nothing": "null",
    "list": json.dumps([CUSTOMER]),
    "nan": '{"customer_id":"C1","name":NaN}',
    "types": json.dumps({"customer_id": {"id": 1}, "name": ["Anna"]}),
    "lacking": json.dumps({"name": "Anna"}),
    "deep": '{"customer_id":"C1","name":"x","z":' + "[" * 3000 + "]" * 3000 + "}",
}


def _answer(quirk: str | None) -> CallToolResult:
    if quirk == "picture":
        return CallToolResult(content=[ImageContent(type="image", data="AAAA", mimeType="image/png")])
    return CallToolResult(content=[TextContent(type="text", text=TEXTS[quirk or "good"])])


def _server() -> FastMCP:
    server = FastMCP("hostile", stateless_http=True, json_response=True)

    @server.tool(structured_output=False)
    async def find_customer(email: str | None = None) -> CallToolResult:
        if email == "never":
            await asyncio.sleep(60)
        if email == "raises":
            raise RuntimeError(SECRET)
        return _answer(email)

    @server.tool(structured_output=False)
    async def open_ticket(kind: str, request_id: str) -> CallToolResult:
        return _answer(kind)

    return server


@contextmanager
def hostile_tools() -> Iterator[str]:
    """Serve on a free port; the address is that of the MCP endpoint."""
    app: Any = _server().streamable_http_app()
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="critical", lifespan="on"))
    listening = server.config.bind_socket()
    thread = threading.Thread(target=server.run, args=([listening],), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/mcp"
    finally:
        server.should_exit = server.force_exit = True
        thread.join(10)
        listening.close()
