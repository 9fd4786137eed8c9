"""The system's tools as MCP knows them: each a function whose parameters are its schema.

A refusal is an error result whose structured content holds a stable ``code`` for programs.
"""

import json
from collections.abc import Callable
from decimal import Decimal
from typing import Annotated, Any

import anyio.to_thread
from mcp.server.fastmcp import FastMCP
from mcp.types import CallToolResult, TextContent, ToolAnnotations
from psycopg import Connection, errors
from psycopg.rows import DictRow
from pydantic import Field

from waybill.sample_system import effects, reads
from waybill.sample_system.database import SampleDatabase
from waybill.sample_system.rules import Refused

Key = Annotated[str, Field(min_length=1, max_length=200, description="Unique to this one act; repeat it to try again.")]
OrderId = Annotated[str, Field(max_length=40, description="The order's number, for example VH-300001.")]
CustomerId = Annotated[str, Field(max_length=40)]
_READ = ToolAnnotations(readOnlyHint=True)
_EFFECT = ToolAnnotations(readOnlyHint=False, idempotentHint=True)


def add_tools(server: FastMCP, database: SampleDatabase) -> None:
    """Register every tool on `server`, over `database`."""
    _add_reads(server, database)
    _add_money(server, database)
    _add_writes(server, database)


def _add_reads(server: FastMCP, database: SampleDatabase) -> None:
    @server.tool(annotations=_READ)
    async def find_customer(email: str | None = None, customer_id: str | None = None) -> CallToolResult:
        """The customer with this address or id."""
        return await _answer(database, lambda at: reads.find_customer(at, email=email, customer_id=customer_id))

    @server.tool(annotations=_READ)
    async def list_orders(customer_id: CustomerId, limit: int = 10) -> CallToolResult:
        """The customer's newest orders."""
        return await _answer(
            database, lambda at: {"orders": reads.list_orders(at, customer_id=customer_id, limit=limit)}
        )

    @server.tool(annotations=_READ)
    async def get_order(customer_id: CustomerId, reference: str) -> CallToolResult:
        """One order of the customer, by order number or tracking number, with its refunds."""
        return await _answer(database, lambda at: reads.get_order(at, customer_id=customer_id, reference=reference))

    @server.tool(annotations=_READ)
    async def track_parcel(tracking: str) -> CallToolResult:
        """What the public tracking page shows of a parcel."""
        return await _answer(database, lambda at: reads.track(at, tracking=tracking))


def _add_money(server: FastMCP, database: SampleDatabase) -> None:
    @server.tool(annotations=_EFFECT)
    async def issue_refund(order_id: OrderId, reason: str, amount: Decimal, idempotency_key: Key) -> CallToolResult:
        """Pay a part of the order back."""
        return await _done(
            database, effects.issue_refund, idempotency_key, order_id=order_id, reason=reason, amount=amount
        )

    @server.tool(annotations=_EFFECT)
    async def void_refund(refund_id: str, idempotency_key: Key) -> CallToolResult:
        """Take back a refund that was not paid out yet."""
        return await _done(database, effects.void_refund, idempotency_key, refund_id=refund_id)


def _add_writes(server: FastMCP, database: SampleDatabase) -> None:
    @server.tool(annotations=_EFFECT)
    async def cancel_order(order_id: OrderId, idempotency_key: Key) -> CallToolResult:
        """Cancel an order whose label is unused."""
        return await _done(database, effects.cancel_order, idempotency_key, order_id=order_id)

    @server.tool(annotations=_EFFECT)
    async def reinstate_order(order_id: OrderId, idempotency_key: Key) -> CallToolResult:
        """Undo a cancellation for which nothing was paid back."""
        return await _done(database, effects.reinstate_order, idempotency_key, order_id=order_id)

    @server.tool(annotations=_EFFECT)
    async def change_address(  # noqa: PLR0917 - MCP names its arguments
        order_id: OrderId, street: str, postcode: str, city: str, idempotency_key: Key, country: str | None = None
    ) -> CallToolResult:
        """Send the parcel of an order to another address."""
        return await _done(
            database,
            effects.change_address,
            idempotency_key,
            order_id=order_id,
            street=street,
            postcode=postcode,
            city=city,
            country=country,
        )

    @server.tool(annotations=_EFFECT)
    async def restore_address(order_id: OrderId, idempotency_key: Key) -> CallToolResult:
        """Undo the last change of address of an order."""
        return await _done(database, effects.restore_address, idempotency_key, order_id=order_id)

    @server.tool(annotations=_EFFECT)
    async def open_ticket(
        customer_id: CustomerId, kind: str, summary: str, idempotency_key: Key, order_id: OrderId | None = None
    ) -> CallToolResult:
        """Put a matter in front of a colleague."""
        return await _done(
            database,
            effects.open_ticket,
            idempotency_key,
            customer_id=customer_id,
            order_id=order_id,
            kind=kind,
            summary=summary,
        )

    @server.tool(annotations=_EFFECT)
    async def withdraw_ticket(ticket_id: str, idempotency_key: Key) -> CallToolResult:
        """Take back a ticket that nobody has closed."""
        return await _done(database, effects.withdraw_ticket, idempotency_key, ticket_id=ticket_id)

    @server.tool(annotations=_EFFECT)
    async def send_message(customer_id: CustomerId, body: str, idempotency_key: Key) -> CallToolResult:
        """Send the customer a message."""
        return await _done(database, effects.send_message, idempotency_key, customer_id=customer_id, body=body)


async def _answer(database: SampleDatabase, read: Callable[[Connection[DictRow]], dict[str, Any]]) -> CallToolResult:
    def work() -> CallToolResult:
        try:
            with database.transaction() as connection:
                return _result(read(connection))
        except Refused as refusal:
            return _refusal(refusal)

    return await anyio.to_thread.run_sync(work)


async def _done(database: SampleDatabase, act: effects.Act, key: str, **arguments: Any) -> CallToolResult:
    def work() -> CallToolResult:
        try:
            with database.transaction() as connection:
                return _result(effects.once(connection, act.__name__, act, key, arguments))
        except Refused as refusal:
            return _refusal(refusal)
        except errors.IntegrityError as violated:
            # The rules run before the constraints; of two concurrent calls, one may reach the constraints.
            return _refusal(Refused("constraint", f"the database refused: {violated.diag.constraint_name}"))

    return await anyio.to_thread.run_sync(work)


def _result(answer: dict[str, Any]) -> CallToolResult:
    text = json.dumps(answer, default=str)
    return CallToolResult(content=[TextContent(type="text", text=text)], structuredContent=json.loads(text))


def _refusal(refusal: Refused) -> CallToolResult:
    said = {"code": refusal.code, "message": refusal.message}
    return CallToolResult(
        content=[TextContent(type="text", text=json.dumps(said))], structuredContent=said, isError=True
    )
