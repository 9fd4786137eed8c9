"""The retail domain as a company's system: an MCP server, and the operator's file for it."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn
from mcp.server.fastmcp import FastMCP
from mcp.types import CallToolResult, TextContent, Tool

from pipelines._kit.tools.policies import Effect, ToolPolicy, ToolServer
from pipelines._kit.tools.servers import ToolPolicies
from tests.evals.tau.retail import TOOLS, RefusedError, Retail

_LISTS = frozenset({"item_ids", "new_item_ids"})


class RetailServer(FastMCP):
    """Offers the tools of a `Retail`; those that change something take ``request_id``."""

    def __init__(self, retail: Retail) -> None:
        super().__init__("retail", stateless_http=True, json_response=True, log_level="ERROR")
        self._retail = retail

    async def list_tools(self) -> list[Tool]:
        """The tools with their schemas."""
        return [
            Tool(name=name, description=getattr(Retail, name).__doc__ or "", inputSchema=_schema(arguments, changes))
            for name, (arguments, changes) in TOOLS.items()
        ]

    async def call_tool(self, name: str, arguments: dict[str, Any]) -> Any:
        """Carry one out."""
        given = dict(arguments)
        key = given.pop("request_id", None)
        try:
            answer = self._retail.act(name, given) if key is None else self._retail.act_once(name, key, given)
        except RefusedError as refused:
            said = {"code": "refused", "message": str(refused)}
            return CallToolResult(content=[TextContent(type="text", text=json.dumps(said))], isError=True)
        return CallToolResult(content=[TextContent(type="text", text=json.dumps(answer))])


def tool_policies_at(url: str) -> ToolPolicies:
    """The operator's file."""
    server = ToolServer(name="retail", url=url, timeout_seconds=20, max_attempts=2)
    policies = [
        ToolPolicy(
            tool=name,
            operation=name,
            server=server,
            effect=Effect.WRITE if changes else Effect.READ,
            calls_per_job=10 if changes else 50,
            arguments={},
            results={},
            idempotency_argument="request_id" if changes else None,
        )
        for name, (_, changes) in TOOLS.items()
    ]
    return ToolPolicies({each.operation: each for each in policies})


@contextmanager
def serve(retail: Retail) -> Iterator[str]:
    """The address of the MCP endpoint, on a free port."""
    app: Any = RetailServer(retail).streamable_http_app()
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


def _schema(arguments: tuple[str, ...], changes: bool) -> dict[str, Any]:
    names = (*arguments, "request_id") if changes else arguments
    text, texts = {"type": "string"}, {"type": "array", "items": {"type": "string"}}
    return {
        "type": "object",
        "properties": {name: texts if name in _LISTS else text for name in names},
        "required": list(names),
    }
