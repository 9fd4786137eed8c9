"""A few thousand rows that look like a company's: the same ones every time the database is filled."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from random import Random
from typing import Any

from waybill.sample_system.cases import CUSTOMERS, ORDERS, TODAY

_SEED = 20260420
_CUSTOMERS = 700
_FIRST = (
    "Emma", "Noah", "Lotte", "Sem", "Julia", "Finn", "Sofie", "Lars", "Eva", "Bram", "Zofia", "Jakub", "Hanna",
    "Felix", "Marie", "Paul", "Clara", "Emil", "Nina", "Hugo", "Chloe", "Louis", "Amira", "Youssef", "Ines",
    "Mateo", "Olga", "Piotr", "Greta", "Oskar",
)  # fmt: skip
_LAST = (
    "Bakker", "Visser", "Smit", "Meijer", "Mulder", "Bos", "Vos", "Peeters", "Maes", "Jacobs", "Claes",
    "Schmidt", "Fischer", "Wagner", "Becker", "Hoffmann", "Nowak", "Wójcik", "Kamiński", "Lewandowski",
    "Dubois", "Laurent", "Moreau", "Lambert", "Hansen", "Olsen", "Rossi", "Costa", "Novak", "Horvat",
)  # fmt: skip
_TOWNS = (
    ("Rotterdam", "3011 AB", "NL"),
    ("Utrecht", "3511 CD", "NL"),
    ("Venlo", "5911 EF", "NL"),
    ("Eindhoven", "5611 GH", "NL"),
    ("Antwerp", "2000", "BE"),
    ("Liège", "4000", "BE"),
    ("Aachen", "52062", "DE"),
    ("Köln", "50667", "DE"),
    ("Opole", "45-015", "PL"),
    ("Katowice", "40-001", "PL"),
    ("Lille", "59000", "FR"),
)
_STREETS = ("Stationsweg", "Kerkstraat", "Havenlaan", "Marktplein", "Lindenstrasse", "Rue du Parc", "Ulica Polna")
_TICKETS = (
    ("claim", "Parcel arrived with a crushed corner; photographs asked for."),
    ("investigation", "Marked delivered, recipient says nothing came."),
    ("complaint", "Driver did not ring the bell."),
    ("billing", "Asks why a weight correction was charged."),
    ("returns", "Asks for the status of a return."),
    ("other", "Asks for opening hours of a pickup point."),
)


@dataclass
class Rows:
    """The rows by table, each a tuple in the order of the table's columns that `COLUMNS` names."""

    customers: list[tuple[Any, ...]] = field(default_factory=list)
    orders: list[tuple[Any, ...]] = field(default_factory=list)
    shipments: list[tuple[Any, ...]] = field(default_factory=list)
    refunds: list[tuple[Any, ...]] = field(default_factory=list)
    tickets: list[tuple[Any, ...]] = field(default_factory=list)


COLUMNS = {
    "customers": "id, name, email, kind, city, since",
    "orders": (
        "id, customer_id, placed_on, service, state, base_price, fuel_surcharge, options_price, times_charged, paid,"
        " refunded"
    ),
    "shipments": (
        "tracking, order_id, status, recipient, street, postcode, city, country, promised_on, first_attempt_on,"
        " delivered_on, last_scan_on, last_scan_town, declared_value"
    ),
    "refunds": "id, order_id, reason, amount, method, state, made_on",
    "tickets": "id, customer_id, order_id, kind, summary, state, made_on",
}


def make_rows() -> Rows:
    """Create all rows, the named cases first."""
    rows, random = Rows(), Random(_SEED)  # noqa: S311 - the same rows every time is the point
    rows.customers.extend(CUSTOMERS)
    for case in ORDERS:
        _add_case(rows, case)
    for number in range(_CUSTOMERS):
        _add_customer(rows, random, number)
    return rows


def _add_case(rows: Rows, case: tuple[Any, ...]) -> None:
    order_id, customer, placed, service, state, base, fuel, options, times, refunds, *shipment = case
    status, promised, attempted, delivered, scanned, town, value = shipment
    paid = (Decimal(base) + Decimal(fuel) + Decimal(options)) * times
    back = sum((Decimal(amount) for _, amount, _ in refunds), Decimal(0))
    rows.orders.append((order_id, customer, _day(placed), service, state, base, fuel, options, times, paid, back))
    city, postcode, country = next((known for known in _TOWNS if known[0] == town), _TOWNS[0])
    rows.shipments.append(
        (
            f"VHD{order_id[3:]}", order_id, status, "R. Cipient", "Stationsweg 1", postcode, city, country,
            _day(promised), _day(attempted), _day(delivered), _day(scanned), town, value,
        )
    )  # fmt: skip
    for number, (reason, amount, made) in enumerate(refunds):
        rows.refunds.append((f"R-{order_id[3:]}-{number}", order_id, reason, amount, "payment", "paid_out", _day(made)))


def _add_customer(rows: Rows, random: Random, number: int) -> None:
    name = f"{random.choice(_FIRST)} {random.choice(_LAST)}"
    city, _, _ = random.choice(_TOWNS)
    customer = f"C-{2000 + number}"
    kind = "account" if random.random() < 0.2 else "consumer"  # noqa: PLR2004 - a share of made-up data
    since = TODAY - timedelta(days=random.randint(30, 2500))
    rows.customers.append((customer, name, f"customer{2000 + number}@example.com", kind, city, since))
    for order_id in _order_ids(random, number, kind):
        _add_order(rows, random, order_id, customer, since)
    if random.random() < 0.3:  # noqa: PLR2004
        kind, summary = random.choice(_TICKETS)
        state = random.choice(("open", "closed", "closed"))
        made = TODAY - timedelta(days=random.randint(0, 90))
        rows.tickets.append((f"T-{4000 + number}", customer, None, kind, summary, state, made))


def _order_ids(random: Random, number: int, kind: str) -> Iterator[str]:
    many = random.randint(2, 6) if kind == "account" else random.randint(1, 3)
    for index in range(many):
        yield f"VH-{400000 + number * 10 + index}"


def _add_order(rows: Rows, random: Random, order_id: str, customer: str, since: date) -> None:
    service = random.choices(("standard", "express_24", "express_12"), (70, 22, 8))[0]
    base = Decimal(random.randint(650, 4500)) / 100 * (1 if service == "standard" else 2)
    fuel = (base * Decimal("0.08")).quantize(Decimal("0.01"))
    options = random.choice((Decimal(0), Decimal(0), Decimal("1.50"), Decimal("3.00")))
    times = 2 if random.random() < 0.01 else 1  # noqa: PLR2004
    placed = max(since, TODAY - timedelta(days=random.randint(0, 120)))
    promised = placed + timedelta(days={"standard": 3, "express_24": 1, "express_12": 1}[service])
    status, attempted = _progress(random, promised)
    delivered = attempted if status == "DLV" else None
    state = {"LBL": "booked", "DLV": "delivered", "LST": "lost", "RTS": "returned"}.get(status, "in_transit")
    paid = (base + fuel + options) * times
    back = Decimal(0)
    if status == "DLV" and times == 1 and random.random() < 0.12:  # noqa: PLR2004
        back = min(paid, Decimal(15))
        reason, made = "goodwill", min(TODAY, promised + timedelta(days=random.randint(1, 20)))
        rows.refunds.append((f"R-{order_id[3:]}-0", order_id, reason, back, "credit", "paid_out", made))
    rows.orders.append((order_id, customer, placed, service, state, base, fuel, options, times, paid, back))
    city, postcode, country = random.choice(_TOWNS)
    recipient = f"{random.choice(_FIRST)} {random.choice(_LAST)}"
    street = f"{random.choice(_STREETS)} {random.randint(1, 240)}"
    scanned = None if status == "LBL" else attempted or min(TODAY, placed + timedelta(days=1))
    rows.shipments.append(
        (
            f"VHD{order_id[3:]}", order_id, status, recipient, street, postcode, city, country, promised, attempted,
            delivered, scanned, city, Decimal(random.randint(10, 900)),
        )
    )  # fmt: skip


def _progress(random: Random, promised: date) -> tuple[str, date | None]:
    """A status that fits the promised day, and the day of the first attempt if there was one."""
    if promised > TODAY:
        return random.choice(("LBL", "COL", "SRT", "TRN", "DEP")), None
    attempted = min(TODAY, promised + timedelta(days=random.choices((0, 1, 2, 8), (88, 7, 3, 2))[0]))
    status = random.choices(("DLV", "ATT", "RTS", "LST"), (95, 2, 2, 1))[0]
    return status, None if status == "LST" else attempted


def _day(text: str | None) -> date | None:
    return None if text is None else date.fromisoformat(text)
