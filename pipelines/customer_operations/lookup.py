"""Finds the customer and the order that a message is about, through the tools."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from pipelines._kit.tools.box import ToolBox
from pipelines.customer_operations.operations import Parcel
from pipelines.customer_operations.policies.decisions import Case, decide, estimate_of
from pipelines.customer_operations.policies.facts import Order
from pipelines.customer_operations.policies.tables import Policy

_RECENT_DAYS = 60
_LIKELY = frozenset({"status_told", "refund_told", "address_missing", "address_fee"})


def find_customer(box: ToolBox, reference: Mapping[str, Any]) -> dict[str, Any] | None:
    """The customer in the company's system: ``customer_id`` and ``name``; None when it is not found there."""
    arguments = {"email": reference["email"], "customer_id": reference["customer_id"]}
    if not any(arguments.values()):
        return None
    found = box.call("find_customer", arguments, call="customer")
    if found.status != "done":
        return None
    return {"customer_id": str(found.result["customer_id"]), "name": str(found.result.get("name") or "") or None}


def public(box: ToolBox, policy: Policy, reference: str | None) -> dict[str, Any]:
    """The public data of a parcel: the tracking page, for a tracking number."""
    if reference is None or not box.offers("track_parcel"):
        return {"order": None, "order_problem": None}
    found = box.call("track_parcel", {"tracking": reference}, call="tracking")
    if found.status != "done":
        return {"order": None, "order_problem": None}
    parcel = Parcel.model_validate(found.result)
    status = policy.status_of(parcel.status)
    promised = None if status == "DLV" else parcel.promised_on
    shown = {
        "tracking": parcel.tracking or reference,
        "status": status,
        "promised": "-" if promised is None else promised.isoformat(),
        "town": parcel.last_scan_town or "-",
        **estimate_of(promised, parcel.today),
    }
    return {"order": shown, "order_problem": None}


def order_of(box: ToolBox, policy: Policy, case: Case, reference: str | None) -> dict[str, Any]:
    """The order that the case is about: the one that was named, or the only possible one."""
    rule = policy.intents[case.intent].rule
    if rule == "person" or (reference is None and case.intent in {"invoice_question", "complaint", "return_request"}):
        return {"order": None, "order_problem": None}
    if reference is None:
        reference = _only_candidate(box, policy, case)
        if reference is None:
            return {"order": None, "order_problem": "which_order"}
    found = box.call("get_order", {"customer_id": case.customer_id, "reference": reference}, call="order")
    if found.status != "done":
        return {"order": None, "order_problem": "order_unknown"}
    return {"order": found.result, "order_problem": None}


def _only_candidate(box: ToolBox, policy: Policy, case: Case) -> str | None:
    """The number of the one order for which something would be done; when there are two, asking beats guessing."""
    found = box.call("list_orders", {"customer_id": case.customer_id, "limit": policy.orders_considered}, call="orders")
    if found.status != "done":
        return None
    fitting = []
    for answer in found.result.get("orders", []):
        # The list may omit facts; the order itself is read again before anything is decided.
        order = replace(Order.read(answer), unknown=frozenset())
        if (order.today - order.placed_on).days > _RECENT_DAYS:
            continue
        considered = Case(case.intent, case.customer_id, case.is_verified, order, case.address)
        decision = decide(policy, considered)
        if decision.calls or decision.human == "facts_missing" or decision.code in _LIKELY:
            fitting.append(order.reference)
    return fitting[0] if len(fitting) == 1 else None
