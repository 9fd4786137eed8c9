"""The system's effects. Every effect happens under an idempotency key, in one transaction with the key.

The same key with the same arguments gets the first answer again; with other arguments it is refused. Two callers with
one key at the same moment wait for each other at the key's unique index.
"""

import hashlib
import json
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import Any

from psycopg import Connection
from psycopg.rows import DictRow
from psycopg.types.json import Jsonb

from waybill.sample_system import rules
from waybill.sample_system.rules import Refused

Act = Callable[[Connection[DictRow], str, dict[str, Any]], dict[str, Any]]


def once(connection: Connection[DictRow], tool: str, act: Act, key: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """The answer of `act`, or its earlier answer under `key`, marked ``replayed``."""
    digest = hashlib.sha256(json.dumps([tool, arguments], sort_keys=True, default=str).encode()).digest()
    taken = connection.execute(
        "INSERT INTO operations (idempotency_key, tool, arguments_digest) VALUES (%s, %s, %s)"
        " ON CONFLICT DO NOTHING RETURNING 1",
        (key, tool, digest),
    ).fetchone()
    if taken is None:
        known = connection.execute(
            "SELECT arguments_digest, answer FROM operations WHERE idempotency_key = %s", (key,)
        ).fetchone()
        assert known is not None
        if known["arguments_digest"] != digest:
            raise Refused("idempotency_key_reused", "this key was used for another call")
        return {**known["answer"], "replayed": True}
    answer = act(connection, key, arguments)
    connection.execute(
        "UPDATE operations SET answer = %s WHERE idempotency_key = %s",
        (Jsonb(answer, dumps=lambda value: json.dumps(value, default=str)), key),
    )
    return {**answer, "replayed": False}


def issue_refund(connection: Connection[DictRow], key: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """Pay `amount` of the order back for `reason`. Raises `Refused`."""
    order, shipment = _locked(connection, arguments["order_id"])
    reason, amount = arguments["reason"], Decimal(str(arguments["amount"]))
    rules.require_refundable(order, shipment, reason=reason, amount=amount, today=_today(connection))
    if reason == "goodwill":
        _require_goodwill_left(connection, order["customer_id"])
    known = connection.execute(
        "SELECT 1 FROM refunds WHERE order_id = %s AND reason = %s AND state <> 'voided'", (order["id"], reason)
    ).fetchone()
    if known is not None:
        raise Refused("already_refunded", f"this order was refunded as {reason} before")
    refund = {
        "refund_id": _new_id("R", key),
        "order_id": order["id"],
        "reason": reason,
        "amount": str(amount),
        "currency": "EUR",
        "method": rules.method_of(reason),
    }
    connection.execute(
        "INSERT INTO refunds (id, order_id, reason, amount, method, made_on, idempotency_key)"
        " SELECT %s, %s, %s, %s, %s, today, %s FROM calendar",
        (refund["refund_id"], order["id"], reason, amount, refund["method"], key),
    )
    connection.execute("UPDATE orders SET refunded = refunded + %s WHERE id = %s", (amount, order["id"]))
    return refund


def void_refund(connection: Connection[DictRow], _key: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """Take back a refund that was not paid out yet. Raises `Refused`."""
    refund = connection.execute(
        "UPDATE refunds SET state = 'voided' WHERE id = %s AND state = 'approved' RETURNING order_id, amount",
        (arguments["refund_id"],),
    ).fetchone()
    if refund is None:
        raise Refused("refund_final", "there is no such refund, or it has been paid out")
    connection.execute(
        "UPDATE orders SET refunded = refunded - %s WHERE id = %s", (refund["amount"], refund["order_id"])
    )
    return {"refund_id": arguments["refund_id"], "state": "voided"}


def cancel_order(connection: Connection[DictRow], _key: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """Cancel an order whose label is unused. Raises `Refused`."""
    order, shipment = _locked(connection, arguments["order_id"])
    rules.require_cancellable(order, shipment)
    connection.execute("UPDATE orders SET state = 'cancelled' WHERE id = %s", (order["id"],))
    return {"order_id": order["id"], "state": "cancelled"}


def reinstate_order(connection: Connection[DictRow], _key: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """Undo a cancellation for which nothing was paid back. Raises `Refused`."""
    order, _ = _locked(connection, arguments["order_id"])
    if order["state"] != "cancelled" or order["refunded"] > 0:
        raise Refused("order_state", "only a cancelled order without refunds can be reinstated")
    connection.execute("UPDATE orders SET state = 'booked' WHERE id = %s", (order["id"],))
    return {"order_id": order["id"], "state": "booked"}


def change_address(connection: Connection[DictRow], _key: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """Send the order's parcel to another address. Raises `Refused`."""
    order, shipment = _locked(connection, arguments["order_id"])
    country = arguments["country"] or shipment["country"]
    rules.require_movable(shipment, country=country)
    previous = {name: shipment[name] for name in ("street", "postcode", "city", "country")}
    connection.execute(
        "UPDATE shipments SET street = %s, postcode = %s, city = %s, country = %s, previous_address = %s,"
        " address_changes = address_changes + 1 WHERE order_id = %s",
        (arguments["street"], arguments["postcode"], arguments["city"], country, Jsonb(previous), order["id"]),
    )
    return {"order_id": order["id"], "city": arguments["city"], "address_changes": shipment["address_changes"] + 1}


def restore_address(connection: Connection[DictRow], _key: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """Undo the last change of address of an order. Raises `Refused`."""
    order, shipment = _locked(connection, arguments["order_id"])
    previous = shipment["previous_address"]
    if previous is None:
        raise Refused("order_state", "the address of this order was not changed")
    connection.execute(
        "UPDATE shipments SET street = %s, postcode = %s, city = %s, country = %s, previous_address = NULL,"
        " address_changes = address_changes - 1 WHERE order_id = %s",
        (previous["street"], previous["postcode"], previous["city"], previous["country"], order["id"]),
    )
    return {"order_id": order["id"], "city": previous["city"]}


def open_ticket(connection: Connection[DictRow], key: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """Hand a matter to a colleague. Raises `Refused` for an unknown customer, order or kind."""
    ticket_id, order_id = _new_id("T", key), arguments["order_id"]
    if order_id is not None and _locked(connection, order_id)[0]["customer_id"] != arguments["customer_id"]:
        raise Refused("order_unknown", "this customer has no order with that number")
    made = connection.execute(
        "INSERT INTO tickets (id, customer_id, order_id, kind, summary, made_on, idempotency_key)"
        " SELECT %s, customers.id, %s, %s, %s, today, %s FROM calendar, customers WHERE customers.id = %s"
        " RETURNING id",
        (ticket_id, order_id, arguments["kind"], arguments["summary"], key, arguments["customer_id"]),
    ).fetchone()
    if made is None:
        raise Refused("customer_unknown", "no customer has this id")
    return {"ticket_id": ticket_id, "kind": arguments["kind"], "state": "open"}


def withdraw_ticket(connection: Connection[DictRow], _key: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """Take back a ticket that is not closed yet. Raises `Refused`."""
    found = connection.execute(
        "UPDATE tickets SET state = 'withdrawn' WHERE id = %s AND state = 'open' RETURNING id",
        (arguments["ticket_id"],),
    ).fetchone()
    if found is None:
        raise Refused("ticket_state", "there is no open ticket with this number")
    return {"ticket_id": arguments["ticket_id"], "state": "withdrawn"}


def send_message(connection: Connection[DictRow], key: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """Send the customer a message. Raises `Refused` for an unknown customer."""
    message_id = _new_id("M", key)
    sent = connection.execute(
        "INSERT INTO messages (id, customer_id, body, sent_on, idempotency_key)"
        " SELECT %s, customers.id, %s, today, %s FROM calendar, customers WHERE customers.id = %s RETURNING id",
        (message_id, arguments["body"], key, arguments["customer_id"]),
    ).fetchone()
    if sent is None:
        raise Refused("customer_unknown", "no customer has this id")
    return {"message_id": message_id}


def _locked(connection: Connection[DictRow], order_id: str) -> tuple[DictRow, DictRow]:
    """The order and its shipment, locked until the transaction ends: two refunds cannot both use the same rest."""
    order = connection.execute("SELECT * FROM orders WHERE id = %s FOR UPDATE", (order_id,)).fetchone()
    if order is None:
        raise Refused("order_unknown", "there is no order with that number")
    shipment = connection.execute("SELECT * FROM shipments WHERE order_id = %s FOR UPDATE", (order_id,)).fetchone()
    assert shipment is not None
    return order, shipment


def _require_goodwill_left(connection: Connection[DictRow], customer_id: str) -> None:
    given = connection.execute(
        "SELECT count(*) AS grants FROM refunds JOIN orders ON orders.id = refunds.order_id, calendar"
        " WHERE orders.customer_id = %s AND refunds.reason = 'goodwill' AND refunds.state <> 'voided'"
        " AND refunds.made_on > calendar.today - %s",
        (customer_id, rules.GOODWILL_DAYS),
    ).fetchone()
    if given is not None and given["grants"] >= rules.GOODWILL_GRANTS_MAX:
        raise Refused("goodwill_used_up", "goodwill is granted three times in 90 days")


def _today(connection: Connection[DictRow]) -> date:
    row = connection.execute("SELECT today FROM calendar").fetchone()
    assert row is not None
    today: date = row["today"]
    return today


def _new_id(prefix: str, key: str) -> str:
    return f"{prefix}-{hashlib.sha256(key.encode()).hexdigest()[:12]}"
