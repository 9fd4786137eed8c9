"""The items with their truth: bills whose fields are to be filled, pages and recordings that are asked."""

import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.factories.paper import Bill, draw_columns, draw_invoice, draw_receipt

CLIPS = Path(__file__).with_name("clips")
_SELLERS = ("Northgate Market", "Silver Oak Books", "Corner Hardware", "Blue Lantern Cafe", "Prairie Pharmacy")
_CUSTOMERS = ("Ada Novak", "Fjord Shipping Ltd", "Lena Hoffmann", "Quarry Tools Inc", "Omar Haddad")
_GOODS = ("Paper towels", "Desk lamp", "Green tea", "Door hinge", "Notebook", "Olive oil", "Wall paint", "Batteries")
_DATES = (
    ("2026-02-11", "2026-02-11"), ("3 May 2026", "2026-05-03"), ("June 21, 2026", "2026-06-21"),
    ("28/09/2026", "2026-09-28"), ("17.10.2026", "2026-10-17"),
)  # fmt: skip
BILL_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "vendor": {"type": "string"},
        "date": {"type": "string", "format": "date"},
        "subtotal": {"type": "number"},
        "tax": {"type": "number"},
        "total": {"type": "number"},
    },
}
# File, what is said, question, what the answer must hold.
SPOKEN: tuple[tuple[str, str, str, str], ...] = (
    ("meeting", "The meeting begins at ten o'clock on Monday. Bring the yearly report.",
     "When does the meeting begin?", "monday"),
    ("order", "Your order was sent on Friday. It weighs nine kilograms.",
     "When was the order sent?", "friday"),
    ("key", "The key is under the blue box. The door is on the left side.",
     "Where is the key?", "blue box"),
    ("price", "The price of the ticket is twenty dollars. Children travel for free.",
     "What is the price of the ticket?", "20"),
    ("office", "The office is closed in August. It opens again in September.",
     "When is the office closed?", "august"),
    ("train", "The train to London leaves from platform seven. It takes three hours.",
     "Where does the train leave from?", "platform"),
)  # fmt: skip
_PLACES = ("Riverside", "Hillcrest", "Lakeview", "Old Mill", "Westend", "Fairfield")


@dataclass(frozen=True, slots=True)
class Item:
    """A file, what is asked of it, and the truth: values of fields, or what the answer must hold."""

    path: Path
    truth: dict[str, Any]
    question: str | None = None
    fill: dict[str, Any] | None = None
    group: str = ""


def make_items(folder: Path) -> list[Item]:
    """Draw the pages into `folder`; the recordings are kept in ``clips``."""
    return [*_bills(folder), *_pages(folder), *_recordings()]


def _bills(folder: Path) -> list[Item]:
    items = []
    for number in range(16):
        chance = random.Random(number)
        prices = [chance.randint(150, 9900) for _ in range(chance.randint(2, 5))]
        subtotal = sum(prices)
        tax = subtotal * 8 // 100
        printed, date = _DATES[number % len(_DATES)]
        goods = chance.sample(_GOODS, len(prices))
        bill = Bill(
            seller=_SELLERS[number % 5],
            number=f"{'R' if number < 8 else 'INV'}-{4000 + 37 * number}",
            date=printed,
            items=tuple((name, chance.randint(1, 4), _print(price)) for name, price in zip(goods, prices, strict=True)),
            subtotal=_print(subtotal),
            tax=_print(tax),
            total=_print(subtotal + tax),
            customer=_CUSTOMERS[number % 5],
        )
        truth: dict[str, Any] = {
            "vendor": bill.seller, "date": date, "subtotal": subtotal / 100, "tax": tax / 100,
            "total": (subtotal + tax) / 100,
        }  # fmt: skip
        noise = 12 * (number % 3)
        schema = {**BILL_SCHEMA, "properties": dict(BILL_SCHEMA["properties"])}
        if number < 8:
            path, group = folder / f"receipt-{number}.png", "receipts"
            draw_receipt(bill, path, noise=noise)
        else:
            path, group = folder / f"invoice-{number}.{'pdf' if number % 2 else 'png'}", "invoices"
            draw_invoice(bill, path, noise=noise)
            schema["properties"] |= {
                "invoice_number": {"type": "string"},
                "customer": {"type": "string"},
                "items": {"type": "array", "items": {"type": "object", "properties": {
                    "description": {"type": "string"}, "qty": {"type": "integer"}, "amount": {"type": "number"}}}},
            }  # fmt: skip
            truth |= {
                "invoice_number": bill.number,
                "customer": bill.customer,
                "items": [
                    {"description": name, "qty": quantity, "amount": float(price)}
                    for name, quantity, price in bill.items
                ],
            }
        items.append(Item(path, truth, fill=schema, group=group))
    return items


def _print(cents: int) -> str:
    return f"{cents // 100}.{cents % 100:02}"


def _pages(folder: Path) -> list[Item]:
    items = []
    for number, place in enumerate(_PLACES):
        chance = random.Random(100 + number)
        staff, opened, days = (
            chance.randint(20, 90),
            chance.randint(1981, 2019),
            chance.choice(("ten", "twelve", "nine")),
        )
        left = (
            f"The library of {place} opened in {opened}.", "It holds more than forty thousand",
            "volumes, most of them on loan.", f"The library employs {staff} people.",
        )  # fmt: skip
        right = (
            "Readers may keep a borrowed book for", f"{days} days, and renew it once by",
            "telephone. Late books cost a small", "fee, which goes to new purchases.",
        )  # fmt: skip
        head = ("Year", "Visitors", "Loans", "Events")
        rows = [
            (2021 + row, chance.randint(4000, 9000), chance.randint(9000, 19000), chance.randint(10, 60))
            for row in range(3)
        ]
        path = folder / f"page-{number}.{'pdf' if number % 2 else 'png'}"
        draw_columns(f"{place} Library", left, right, path, (head, rows))
        asked = (
            (f"When did the library of {place} open?", str(opened)),
            ("How long may readers keep a borrowed book?", days),
            ("How many people does the library employ?", str(staff)),
        )[number % 3]
        items.append(Item(path, {"answer": asked[1]}, question=asked[0], group="pages"))
        table = {"rows": [dict(zip(("year", "visitors", "loans", "events"), row, strict=True)) for row in rows]}
        columns = {name: {"type": "integer"} for name in ("year", "visitors", "loans", "events")}
        schema = {
            "type": "object",
            "properties": {"rows": {"type": "array", "items": {"type": "object", "properties": columns}}},
        }
        items.append(Item(path, table, fill=schema, group="tables"))
    return items


def _recordings() -> list[Item]:
    return [
        Item(CLIPS / f"{name}.ogg", {"answer": expected}, question=question, group="recordings")
        for name, _, question, expected in SPOKEN
    ]
