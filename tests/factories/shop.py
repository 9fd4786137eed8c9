"""A shop of another make as an MCP server over a socket: its own words for statuses, one price, no parcels."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn
from mcp.server.fastmcp import FastMCP

ORDER: dict[str, Any] = {
    "order_id": 7,
    "reference": "S-1",
    "status": "delivered",
    "state": "open",
    "service": "express",
    "price": "20.00",
    "paid": "20.00",
    "refunds": [],
    "placed_on": "2026-04-10",
    "promised_on": "2026-04-15",
    "delivered_on": "2026-04-17",
    "today": "2026-04-20",
}
TOML = """
[[tool_server]]
name = "shop"
url = "{url}"

[[tool_server.tool]]
name = "find_customer"
effect = "read"

[[tool_server.tool]]
name = "get_order"
effect = "read"

[[tool_server.tool]]
name = "refund"
operation = "issue_refund"
effect = "money"
idempotency_argument = "request_id"
amount_argument = "amount"
currency = "EUR"
amount_per_job = "500.00"
approval_above = "50.00"
"""


class Shop:
    """The shop; `order` is what it answers, `called` counts calls."""

    def __init__(self) -> None:
        self.order = dict(ORDER)
        self.called: list[str] = []
        self.server = FastMCP("shop", stateless_http=True, json_response=True)
        self.server.add_tool(self.find_customer)
        self.server.add_tool(self.get_order)
        self.server.add_tool(self.refund)
        self.url = ""

    async def find_customer(self, email: str) -> dict[str, Any]:
        """Everybody is Mila."""
        self.called.append("find_customer")
        return {"customer_id": "c1", "name": f"Mila ({email})"}

    async def get_order(self, customer_id: str, reference: str) -> dict[str, Any]:
        """There is one order."""
        self.called.append(f"get_order {customer_id} {reference}")
        return self.order

    async def refund(self, order: str, amount: str, currency: str) -> dict[str, Any]:
        """Takes other arguments than it is given, and no key."""
        self.called.append(f"refund {order} {amount} {currency}")
        return {}


@contextmanager
def shop() -> Iterator[Shop]:
    """Serve on a free port."""
    opened = Shop()
    app: Any = opened.server.streamable_http_app()
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="critical", lifespan="on"))
    listening = server.config.bind_socket()
    opened.url = f"http://127.0.0.1:{listening.getsockname()[1]}/mcp"
    thread = threading.Thread(target=server.run, args=([listening],), daemon=True)
    thread.start()
    try:
        yield opened
    finally:
        server.should_exit = server.force_exit = True
        thread.join(10)
        listening.close()
