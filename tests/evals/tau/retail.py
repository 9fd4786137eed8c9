"""tau-bench's retail domain (Yao et al., 2024, arXiv 2406.12045): its data, its tools and what they do to the data.

The tools have the names, arguments and effects of the paper's repository; the data is a small set of ours in its form,
or the repository's own from a folder.
"""

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from copy import deepcopy
from decimal import Decimal
from pathlib import Path
from typing import Any

OURS = Path(__file__).parent / "data"
_SUM = re.compile(r"[0-9+*/(). -]{1,200}", re.ASCII)


class RefusedError(Exception):
    """What the tool answers instead."""


class Retail:
    """Users, orders and products, and what is done to them."""

    def __init__(self, folder: Path = OURS) -> None:
        self._at_first = {
            name: json.loads((folder / f"{name}.json").read_text("utf-8")) for name in ("users", "orders", "products")
        }
        self.reset()

    def reset(self) -> None:
        """As at the beginning of every task."""
        self.data: dict[str, Any] = deepcopy(self._at_first)
        self._answers: dict[str, Any] = {}

    @property
    def digest(self) -> str:
        """The same for the same data: what a task is judged by."""
        return hashlib.sha256(json.dumps(self.data, sort_keys=True).encode()).hexdigest()

    def act(self, name: str, arguments: Mapping[str, Any]) -> Any:
        """Carry a tool out. Raises `RefusedError`."""
        function: Callable[..., Any] = getattr(self, name)
        return function(**arguments)

    def act_once(self, name: str, key: str, arguments: Mapping[str, Any]) -> Any:
        """The same under an idempotency key."""
        if key not in self._answers:
            self._answers[key] = self.act(name, arguments)
        return self._answers[key]

    def find_user_id_by_email(self, email: str) -> str:
        """Find a user's id by their e-mail address."""
        return self._user_where(lambda user: user["email"].lower() == email.lower())

    def find_user_id_by_name_zip(self, first_name: str, last_name: str, zip: str) -> str:  # noqa: A002 - the domain's
        """Find a user's id by name and zip code."""
        wanted = (first_name.lower(), last_name.lower(), zip)
        return self._user_where(
            lambda user: (
                (user["name"]["first_name"].lower(), user["name"]["last_name"].lower(), user["address"]["zip"])
                == wanted
            )
        )

    def get_user_details(self, user_id: str) -> dict[str, Any]:
        """A user's profile, payment methods and orders."""
        return self._of("users", user_id)

    def get_order_details(self, order_id: str) -> dict[str, Any]:
        """An order with its items, status and payments."""
        return self._of("orders", order_id)

    def get_product_details(self, product_id: str) -> dict[str, Any]:
        """A product with its variants."""
        return self._of("products", product_id)

    def list_all_product_types(self) -> dict[str, str]:
        """All products by name."""
        return {each["name"]: each["product_id"] for each in self.data["products"].values()}

    def calculate(self, expression: str) -> str:
        """Work out an expression of numbers, + - * / and parentheses."""
        if not _SUM.fullmatch(expression) or "**" in expression:
            raise RefusedError("invalid characters in expression")
        try:
            return str(round(float(eval(expression, {"__builtins__": {}})), 2))
        except (ArithmeticError, SyntaxError, TypeError) as error:
            raise RefusedError("not an expression") from error

    def transfer_to_human_agents(self, summary: str) -> str:  # noqa: ARG002 - the domain's
        """Hand the user over to a human agent."""
        return "Transfer successful"

    def cancel_pending_order(self, order_id: str, reason: str) -> dict[str, Any]:
        """Cancel a pending order; the reason is `no longer needed` or `ordered by mistake`."""
        order = self._pending(order_id)
        if reason not in {"no longer needed", "ordered by mistake"}:
            raise RefusedError("invalid reason")
        refunds = []
        for payment in order["payment_history"]:
            self._pay(order, payment["payment_method_id"], -payment["amount"])
            refunds.append({**payment, "transaction_type": "refund"})
        order.update(status="cancelled", cancel_reason=reason)
        order["payment_history"].extend(refunds)
        return order

    def modify_pending_order_address(self, order_id: str, **address: str) -> dict[str, Any]:
        """Send a pending order elsewhere."""
        order = self._pending(order_id)
        order["address"] = dict(address)
        return order

    def modify_user_address(self, user_id: str, **address: str) -> dict[str, Any]:
        """Change a user's default address."""
        user = self._of("users", user_id)
        user["address"] = dict(address)
        return user

    def modify_pending_order_payment(self, order_id: str, payment_method_id: str) -> dict[str, Any]:
        """Pay a pending order with another method."""
        order = self._pending(order_id)
        first = order["payment_history"][0]
        if len(order["payment_history"]) > 1 or first["payment_method_id"] == payment_method_id:
            raise RefusedError("the new payment method should be different, and changed once")
        self._pay(order, payment_method_id, first["amount"])
        self._pay(order, first["payment_method_id"], -first["amount"])
        order["payment_history"] += [
            {"transaction_type": "payment", "amount": first["amount"], "payment_method_id": payment_method_id},
            {**first, "transaction_type": "refund"},
        ]
        return order

    def modify_pending_order_items(
        self, order_id: str, item_ids: list[str], new_item_ids: list[str], payment_method_id: str
    ) -> dict[str, Any]:
        """Change items of a pending order to other options of the same products, once."""
        order = self._pending(order_id)
        difference = self._exchanged(order, item_ids, new_item_ids)
        self._pay(order, payment_method_id, difference)
        kind = "payment" if difference > 0 else "refund"
        order["payment_history"].append(
            {"transaction_type": kind, "amount": abs(difference), "payment_method_id": payment_method_id}
        )
        for old, new in zip(item_ids, new_item_ids, strict=True):
            item = next(each for each in order["items"] if each["item_id"] == old)
            variant = self.data["products"][item["product_id"]]["variants"][new]
            item.update(item_id=new, price=variant["price"], options=variant["options"])
        order["status"] = "pending (item modified)"
        return order

    def return_delivered_order_items(
        self, order_id: str, item_ids: list[str], payment_method_id: str
    ) -> dict[str, Any]:
        """Return items of a delivered order."""
        order = self._delivered(order_id, item_ids)
        paid_with = order["payment_history"][0]["payment_method_id"]
        if payment_method_id != paid_with and not payment_method_id.startswith("gift_card"):
            raise RefusedError("returned to the original payment method or a gift card")
        self._method(order, payment_method_id)
        order.update(
            status="return requested", return_items=sorted(item_ids), return_payment_method_id=payment_method_id
        )
        return order

    def exchange_delivered_order_items(
        self, order_id: str, item_ids: list[str], new_item_ids: list[str], payment_method_id: str
    ) -> dict[str, Any]:
        """Exchange items of a delivered order for other options of the same products, once."""
        order = self._delivered(order_id, item_ids)
        difference = self._exchanged(order, item_ids, new_item_ids)
        self._method(order, payment_method_id)
        order.update(
            status="exchange requested",
            exchange_items=sorted(item_ids),
            exchange_new_items=sorted(new_item_ids),
            exchange_payment_method_id=payment_method_id,
            exchange_price_difference=difference,
        )
        return order

    def _user_where(self, fits: Callable[[dict[str, Any]], bool]) -> str:
        for user_id, user in self.data["users"].items():
            if fits(user):
                return str(user_id)
        raise RefusedError("user not found")

    def _of(self, table: str, name: str) -> dict[str, Any]:
        if name not in self.data[table]:
            raise RefusedError(f"{table[:-1]} not found")
        found: dict[str, Any] = self.data[table][name]
        return found

    def _pending(self, order_id: str) -> dict[str, Any]:
        order = self._of("orders", order_id)
        if order["status"] != "pending":
            raise RefusedError("non-pending order cannot be changed")
        return order

    def _delivered(self, order_id: str, item_ids: list[str]) -> dict[str, Any]:
        order = self._of("orders", order_id)
        if order["status"] != "delivered":
            raise RefusedError("non-delivered order cannot be returned or exchanged")
        held = [each["item_id"] for each in order["items"]]
        if any(item_ids.count(each) > held.count(each) for each in item_ids):
            raise RefusedError("some item not found")
        return order

    def _exchanged(self, order: Mapping[str, Any], item_ids: list[str], new_item_ids: list[str]) -> float:
        if len(item_ids) != len(new_item_ids):
            raise RefusedError("the number of items to be exchanged should match")
        difference = Decimal(0)
        for old, new in zip(item_ids, new_item_ids, strict=True):
            item = next((each for each in order["items"] if each["item_id"] == old), None)
            variants = {} if item is None else self.data["products"][item["product_id"]]["variants"]
            if item is None or not variants.get(new, {}).get("available"):
                raise RefusedError("new item not found or not available")
            difference += Decimal(str(variants[new]["price"])) - Decimal(str(item["price"]))
        return float(difference)

    def _method(self, order: Mapping[str, Any], payment_method_id: str) -> dict[str, Any]:
        methods = self.data["users"][order["user_id"]]["payment_methods"]
        if payment_method_id not in methods:
            raise RefusedError("payment method not found")
        found: dict[str, Any] = methods[payment_method_id]
        return found

    def _pay(self, order: Mapping[str, Any], payment_method_id: str, amount: float) -> None:
        method = self._method(order, payment_method_id)
        if method["source"] == "gift_card":
            left = round(method["balance"] - amount, 2)
            if left < 0:
                raise RefusedError("insufficient gift card balance")
            method["balance"] = left


_ADDRESS = ("address1", "address2", "city", "state", "country", "zip")
_ITEMS = ("item_ids", "new_item_ids")
# By tool: its arguments, and whether it changes something.
TOOLS: dict[str, tuple[tuple[str, ...], bool]] = {
    "calculate": (("expression",), False),
    "cancel_pending_order": (("order_id", "reason"), True),
    "exchange_delivered_order_items": (("order_id", *_ITEMS, "payment_method_id"), True),
    "find_user_id_by_email": (("email",), False),
    "find_user_id_by_name_zip": (("first_name", "last_name", "zip"), False),
    "get_order_details": (("order_id",), False),
    "get_product_details": (("product_id",), False),
    "get_user_details": (("user_id",), False),
    "list_all_product_types": ((), False),
    "modify_pending_order_address": (("order_id", *_ADDRESS), True),
    "modify_pending_order_items": (("order_id", *_ITEMS, "payment_method_id"), True),
    "modify_pending_order_payment": (("order_id", "payment_method_id"), True),
    "modify_user_address": (("user_id", *_ADDRESS), True),
    "return_delivered_order_items": (("order_id", "item_ids", "payment_method_id"), True),
    "transfer_to_human_agents": (("summary",), True),
}
