"""The system's data: an order for its owner, and the tracking page for others."""

from typing import Any

from psycopg import Connection
from psycopg.rows import DictRow

from waybill.sample_system.rules import Refused

ORDERS_MAX = 50


def find_customer(connection: Connection[DictRow], *, email: str | None, customer_id: str | None) -> dict[str, Any]:
    """The customer with this address or id. Raises `Refused` (``customer_unknown``)."""
    found = connection.execute(
        "SELECT id AS customer_id, name, kind, city, since FROM customers WHERE lower(email) = lower(%s) OR id = %s",
        (email, customer_id),
    ).fetchone()
    if found is None:
        raise Refused("customer_unknown", "no customer has this address or id")
    return found


def list_orders(connection: Connection[DictRow], *, customer_id: str, limit: int) -> list[dict[str, Any]]:
    """The customer's orders, newest first."""
    return connection.execute(
        f"{_ORDER} WHERE orders.customer_id = %s ORDER BY orders.placed_on DESC, orders.id DESC LIMIT %s",
        (customer_id, min(max(limit, 1), ORDERS_MAX)),
    ).fetchall()


def get_order(connection: Connection[DictRow], *, customer_id: str, reference: str) -> dict[str, Any]:
    """The customer's order with this number or this tracking number, with its refunds. Raises `Refused`."""
    found = connection.execute(
        f"{_ORDER} WHERE orders.customer_id = %s AND (orders.id = upper(%s) OR shipments.tracking = upper(%s))",
        (customer_id, reference, reference),
    ).fetchone()
    if found is None:
        raise Refused("order_unknown", "this customer has no order with that number")
    refunds = connection.execute(
        "SELECT id AS refund_id, reason, amount, method, state, made_on FROM refunds WHERE order_id = %s ORDER BY id",
        (found["order_id"],),
    ).fetchall()
    return {**found, "refunds": refunds}


def track(connection: Connection[DictRow], *, tracking: str) -> dict[str, Any]:
    """The content of the public tracking page. Raises `Refused` (``tracking_unknown``)."""
    found = connection.execute(
        "SELECT tracking, status, promised_on, last_scan_on, last_scan_town, (SELECT today FROM calendar) AS today"
        " FROM shipments WHERE tracking = upper(%s)",
        (tracking,),
    ).fetchone()
    if found is None:
        raise Refused("tracking_unknown", "no parcel has this tracking number")
    return found


_ORDER = """
SELECT orders.id AS order_id, orders.placed_on, orders.service, orders.state, orders.base_price, orders.fuel_surcharge,
  orders.options_price, orders.times_charged, orders.paid, orders.refunded, shipments.tracking, shipments.status,
  shipments.promised_on, shipments.first_attempt_on, shipments.delivered_on, shipments.last_scan_on,
  shipments.last_scan_town, shipments.declared_value, shipments.address_changes, shipments.country, shipments.city,
  (SELECT today FROM calendar) AS today
FROM orders JOIN shipments ON shipments.order_id = orders.id"""
