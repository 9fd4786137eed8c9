"""An MCP server over a socket that counts effects: tools with an idempotency key, with read-back only, with neither.

What a tool takes can change while it serves, as after a release of the system behind it.
"""

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn
from mcp.server.fastmcp import FastMCP

from pipelines._kit.tools.policies import Effect, ReadBack, ToolPolicy, ToolServer
from pipelines._kit.tools.servers import ToolPolicies


class EffectTools:
    """The system: `done` counts effects by tool and reference."""

    def __init__(self) -> None:
        self.done: Counter[tuple[str, str]] = Counter()
        self.url = ""
        self._answers: dict[str, dict[str, Any]] = {}
        self._server = FastMCP("effects", stateless_http=True, json_response=True)
        self._server.add_tool(self.pay, name="pay")
        self._server.add_tool(self.repay, name="repay")
        self._server.add_tool(self.book, name="book")
        self._server.add_tool(self.find_booking, name="find_booking")
        self._server.add_tool(self.note, name="note")

    async def pay(self, reference: str, amount: str, request_id: str) -> dict[str, Any]:
        """Keyed: the same key gets the first answer."""
        return self._keyed("pay", reference, amount, request_id)

    async def repay(self, reference: str, amount: str, request_id: str) -> dict[str, Any]:
        """A sibling that takes the same arguments."""
        return self._keyed("repay", reference, amount, request_id)

    async def book(self, reference: str) -> dict[str, Any]:
        """Does it again whenever it is called; `find_booking` says whether it was."""
        self.done["book", reference] += 1
        return {"booking_id": f"B-{reference}"}

    async def find_booking(self, reference: str) -> dict[str, Any]:
        """What `book` did."""
        return {"booking_id": f"B-{reference}"} if self.done["book", reference] else {}

    async def note(self, reference: str) -> dict[str, Any]:
        """Does it again whenever it is called, and no tool can say whether it was."""
        self.done["note", reference] += 1
        return {"noted": True}

    async def pay_with_fee(self, reference: str, amount: str, request_id: str, fee: str = "0") -> dict[str, Any]:
        """What `pay` became."""
        return self._keyed("pay", reference, f"{amount}+{fee}", request_id)

    def release(self, *, has_fee: bool) -> None:
        """Let `pay` take a fee, or not."""
        self._server.remove_tool("pay")
        self._server.add_tool(self.pay_with_fee if has_fee else self.pay, name="pay")

    def _keyed(self, tool: str, reference: str, amount: str, key: str) -> dict[str, Any]:
        if key not in self._answers:
            self.done[tool, reference] += 1
            self._answers[key] = {"payment_id": f"P-{len(self._answers)}", "amount": amount}
        return self._answers[key]

    def tool_policies(self, **changed: Any) -> ToolPolicies:
        """The operator's file for it; `changed` are fields of the policy of `pay`."""
        return tool_policies_at(self.url, **changed)

    @property
    def app(self) -> Any:
        """As an application."""
        return self._server.streamable_http_app()


def tool_policies_at(url: str, *, timeout_seconds: float = 10, **changed: Any) -> ToolPolicies:
    """The operator's file for the system at `url`; `changed` are fields of the policy of `pay`."""
    server = ToolServer(name="effects", url=url, timeout_seconds=timeout_seconds, max_attempts=2)
    common: dict[str, Any] = {"server": server, "calls_per_job": 9, "arguments": {}, "results": {}}
    money: dict[str, Any] = {
        "effect": Effect.MONEY,
        "idempotency_argument": "request_id",
        "amount_argument": "amount",
        "currency": "EUR",
    }
    looked_up = ReadBack("find_booking", {"reference": "reference"}, "booking_id")
    policies = [
        ToolPolicy(**{"tool": "pay", "operation": "pay", **common, **money, **changed}),
        ToolPolicy(tool="repay", operation="repay", **common, **money),
        ToolPolicy(tool="book", operation="book", effect=Effect.WRITE, read_back=looked_up, **common),
        ToolPolicy(tool="find_booking", operation="find_booking", effect=Effect.READ, **common),
        ToolPolicy(tool="note", operation="note", effect=Effect.WRITE, **common),
    ]
    return ToolPolicies({each.operation: each for each in policies})


@contextmanager
def effect_tools() -> Iterator[EffectTools]:
    """Serve on a free port."""
    tools = EffectTools()
    server = uvicorn.Server(uvicorn.Config(tools.app, host="127.0.0.1", port=0, log_level="critical", lifespan="on"))
    listening = server.config.bind_socket()
    tools.url = f"http://127.0.0.1:{listening.getsockname()[1]}/mcp"
    thread = threading.Thread(target=server.run, args=([listening],), daemon=True)
    thread.start()
    try:
        yield tools
    finally:
        server.should_exit = server.force_exit = True
        thread.join(10)
        listening.close()
