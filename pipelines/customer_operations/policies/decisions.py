"""Decides how a message is handled, by the tables alone. Pure functions: the same facts give the same decision."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

from pipelines.customer_operations.policies.facts import Order
from pipelines.customer_operations.policies.tables import IntentRow, Policy, Reason

_CENT = Decimal("0.01")
# The facts that rules depend on besides those of the refund tables.
_NEEDS = {
    "cancel": {"state"},
    "address": {"declared_value", "address_changes"},
    "refund_status": {"refunds"},
}
# Rules that change something, or reveal more than the public tracking page shows.
_PERSONAL = frozenset({"refund", "refund_status", "lost", "cancel", "address"})

# Rules that say or do something by where the goods are, and by where the order is.
_BY_STATUS = frozenset({"status", "lost", "cancel", "address"})
_BY_STATE = frozenset({"cancel", "address"})

# Rules that do not fit a canceled order: it has no place, no address and no cancellation to come.
_OF_A_LIVING_ORDER = frozenset({"status", "cancel", "address"})


@dataclass(frozen=True, slots=True)
class PlannedCall:
    """A call to be made; `arguments` are the operation's.

    `read` are those whose values were read in a text. The tables work out all others.
    """

    operation: str
    arguments: Mapping[str, Any]
    amount: Decimal | None = None
    read: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Decision:
    """`code` names the reply, `facts` fill it in; `human` says why a person takes over, if one does."""

    code: str
    facts: Mapping[str, str] = field(default_factory=dict)
    calls: tuple[PlannedCall, ...] = ()
    human: str | None = None


@dataclass(frozen=True, slots=True)
class Case:
    """The facts to decide on. `address` is the complete new address, where one was given."""

    intent: str
    customer_id: str
    is_verified: bool
    order: Order | None
    address: Mapping[str, str] | None = None


def decide(policy: Policy, case: Case) -> Decision:
    """The decision. Calls are of operations that the intent's row allows, or there are none."""
    row = policy.intents[case.intent]
    if row.rule in _PERSONAL and not case.is_verified:
        return Decision("identity_unverified", human="identity_unverified")
    if case.order is None and row.rule not in {"person", "ticket"}:
        return Decision("which_order")
    if case.order is not None:
        order = replace(
            case.order,
            status=policy.status_of(case.order.status),
            state=policy.state_of(case.order.state),
            service=policy.service_of(case.order.service),
        )
        case = replace(case, order=order)
        if needed(policy, row) & order.unknown or _is_said_in_unknown_words(policy, case, order):
            return Decision("handover", human="facts_missing")
    if case.order is not None and case.order.is_canceled and row.rule in _OF_A_LIVING_ORDER:
        decided = _canceled(case.order)
    else:
        decided = _RULES[row.rule](policy, row, case)
    if decided.facts:
        decided = replace(decided, facts={**decided.facts, "currency": policy.currency})
    forbidden = {call.operation for call in decided.calls} - set(row.operations)
    if forbidden:
        raise AssertionError(f"the rule of {case.intent} wants {', '.join(sorted(forbidden))}, which its row forbids")
    return decided


def needed(policy: Policy, row: IntentRow) -> set[str]:
    """The facts of an order that the rule depends on, by their names in `OrderAnswer`."""
    found = set(_NEEDS.get(row.rule, ()))
    for reason in row.refunds:
        refund = policy.refunds[reason]
        found |= {"paid", "refunded", "refunds", *refund.of, refund.counted_from}
        found |= {"service"} if refund.services else set()
        found |= {"state"} if refund.states else set()
        found |= {"promised_on", "first_attempt_on"} if refund.late_days is not None else set()
        found |= {"times_charged"} if refund.times_charged > 1 else set()
    return found


def _is_said_in_unknown_words(policy: Policy, case: Case, order: Order) -> bool:
    """Whether the case is decided by a status, state or service in a word that no rule knows."""
    row = policy.intents[case.intent]
    refunds = [policy.refunds[reason] for reason in row.refunds]
    by_status = row.rule in _BY_STATUS or case.intent == "not_received" or any(each.statuses for each in refunds)
    by_state = row.rule in _BY_STATE or any(each.states for each in refunds)
    by_service = any(each.services for each in refunds)
    return (
        (by_status and order.status not in policy.known_statuses)
        or (by_state and "state" not in order.unknown and order.state not in policy.known_states)
        or (by_service and "service" not in order.unknown and order.service not in policy.known_services)
    )


def amount_due(policy: Policy, reason: Reason, order: Order) -> Decimal | None:
    """The table's refund for `reason`; None when the table does not apply to the order."""
    row = policy.refunds[reason]
    applies = (
        (not row.services or order.service in row.services)
        and (not row.states or order.state in row.states)
        and (not row.statuses or order.status in row.statuses)
        and (row.late_days is None or order.working_days_late >= row.late_days)
        and order.times_charged >= row.times_charged
    )
    if not applies:
        return None
    total = sum((order.prices[part] for part in row.of), Decimal(0))
    # Half to even, as the system behind the tools counts whole cents.
    return (total * row.share).quantize(_CENT, ROUND_HALF_EVEN)


def _status(policy: Policy, row: IntentRow, case: Case) -> Decision:
    order = _order(case)
    facts = _facts(order)
    if order.status in {"SRT", "TRN", "DEP", "ATT"}:
        if order.working_days_silent > policy.search_after_working_days:
            return Decision("search_opened", facts, (_ticket(row, case, "Search: no scan for several working days."),))
        return Decision("status_told", facts)
    if order.status in {"COL", "OFD"}:
        return Decision("status_told", facts)
    return Decision("status_delivered" if order.status == "DLV" else "status_other", facts)


def _open_ticket(_policy: Policy, row: IntentRow, case: Case) -> Decision:
    order = case.order
    if case.intent in {"not_received", "damaged_item"}:
        if order is None:
            return Decision("which_order")
        if case.intent == "not_received" and order.status != "DLV":
            return Decision("not_delivered_yet", _facts(order))
    code, summary = {
        "not_received": ("investigation_opened", "Marked delivered, and not received."),
        "damaged_item": ("claim_opened", "Damaged or incomplete on arrival; photographs asked for."),
        "return_request": ("returns_opened", "Question about a return."),
        "invoice_question": ("billing_opened", "Question about an invoice."),
        "complaint": ("complaint_opened", "Complaint about the service."),
    }[case.intent]
    return Decision(code, _facts(order) if order else {}, (_ticket(row, case, summary),))


def _refund(policy: Policy, row: IntentRow, case: Case) -> Decision:
    order = _order(case)
    facts = _facts(order)
    reason, due = _first_due(policy, row, order)
    if due is not None:
        return _pay(policy, order, reason, due)
    if "charged_twice" in row.refunds:
        return Decision("charged_once", facts)
    if order.first_attempt_on is None:
        return _canceled(order) if order.is_canceled else Decision("refund_not_delivered", facts)
    return Decision("refund_not_due", facts)


def _pay(policy: Policy, order: Order, reason: Reason, due: Decimal) -> Decision:
    facts = _facts(order)
    before = next((made for made in order.made if made[0] == reason), None)
    if before is not None:
        return Decision("refund_made_before", {**facts, "amount": str(before[1]), "made": before[2].isoformat()})
    row = policy.refunds[reason]
    counted_from = order.placed_on if row.counted_from == "placed_on" else order.first_attempt_on
    until = None if counted_from is None else counted_from + timedelta(days=row.within_days)
    if until is None or order.today > until:
        return Decision("refund_window_closed", {**facts, "until": until.isoformat() if until else ""})
    due = min(due, order.paid - order.refunded)
    if due <= 0:
        return Decision("refund_made_before", {**facts, "amount": str(order.refunded), "made": "an earlier day"})
    code = "second_charge_refunded" if reason == "charged_twice" else "refund_done"
    return Decision(code, {**facts, "amount": str(due)}, (_refund_call(order, reason, due),))


def _lost(policy: Policy, row: IntentRow, case: Case) -> Decision:
    order = _order(case)
    reason, due = _first_due(policy, row, order)
    if due is None:
        return _status(policy, row, case)
    paid = _pay(policy, order, reason, due)
    if not paid.calls:
        return paid
    claim = _ticket(row, case, "Parcel lost; claim for the goods.")
    return Decision("lost_done", paid.facts, (*paid.calls, claim))


def _cancel(policy: Policy, row: IntentRow, case: Case) -> Decision:
    order = _order(case)
    facts = _facts(order)
    cancel = PlannedCall("cancel_order", {"order_id": order.id})
    if order.state != "booked":
        return Decision("cancel_not_possible", facts)
    if not row.refunds:
        return Decision("cancelled", facts, (cancel,))
    reason, due = _first_due(policy, row, order)
    if due is None:
        return Decision("cancel_not_possible", facts)
    paid = _pay(policy, order, reason, due)
    if not paid.calls:
        return Decision("cancel_window_closed", paid.facts) if paid.code == "refund_window_closed" else paid
    return Decision("cancelled_refunded", paid.facts, (cancel, *paid.calls))


def _first_due(policy: Policy, row: IntentRow, order: Order) -> tuple[Reason, Decimal | None]:
    """The first of the row's tables that applies, with its refund."""
    found = ((reason, amount_due(policy, reason, order)) for reason in row.refunds)
    return next(((reason, due) for reason, due in found if due is not None), ("", None))


def _canceled(order: Order) -> Decision:
    if not order.made:
        return Decision("canceled_before", _facts(order))
    _, amount, made = order.made[-1]
    return Decision("canceled_before_refunded", {**_facts(order), "amount": str(amount), "made": made.isoformat()})


def _refund_status(_policy: Policy, _row: IntentRow, case: Case) -> Decision:
    order = _order(case)
    if not order.made:
        return Decision("refund_none", _facts(order))
    _, amount, made = order.made[-1]
    return Decision("refund_told", {**_facts(order), "amount": str(amount), "made": made.isoformat()})


def _address(policy: Policy, _row: IntentRow, case: Case) -> Decision:
    order, table = _order(case), policy.address
    facts = _facts(order)
    if order.status in table.colleague:
        return Decision("address_colleague", facts, human="address_needs_colleague")
    if order.status not in (*table.free, *table.for_a_fee) or order.address_changes >= table.changes_max:
        return Decision("address_not_possible", facts)
    if order.declared_value > table.value_max:
        return Decision("address_colleague", facts, human="address_needs_colleague")
    if order.status in table.for_a_fee:
        return Decision("address_fee", {**facts, "fee": str(table.fee)}, human="address_fee_to_confirm")
    if case.address is None:
        return Decision("address_missing", facts)
    call = PlannedCall("change_address", {"order_id": order.id, **case.address}, read=tuple(case.address))
    return Decision("address_changed", {**facts, "city": case.address["city"]}, (call,))


def _person(_policy: Policy, _row: IntentRow, case: Case) -> Decision:
    wants = "person_wanted" if case.intent == "speak_to_person" else "not_covered"
    return Decision("handover", human=wants)


_RULES: dict[str, Callable[[Policy, IntentRow, Case], Decision]] = {
    "status": _status,
    "ticket": _open_ticket,
    "refund": _refund,
    "refund_status": _refund_status,
    "lost": _lost,
    "cancel": _cancel,
    "address": _address,
    "person": _person,
}


def _order(case: Case) -> Order:
    assert case.order is not None
    return case.order


def _facts(order: Order) -> dict[str, str]:
    days = {
        "promised": None if "promised_on" in order.unknown else order.promised_on,
        "attempted": order.first_attempt_on,
        "delivered": order.delivered_on,
        "scanned": order.last_scan_on,
    }
    return {
        "order": order.reference or order.id,
        "tracking": order.tracking,
        "status": order.status,
        "town": order.last_scan_town,
        "paid": str(order.paid),
        **estimate_of(days["promised"], order.today),
        **{name: day.isoformat() for name, day in days.items() if day is not None},
    }


def estimate_of(promised: date | None, today: date) -> dict[str, str]:
    """The fact that an estimate of the delivery has passed or is not known; nothing where it lies ahead."""
    if promised is None:
        return {"estimate": "unknown"}
    return {"estimate": "passed"} if promised < today else {}


def _refund_call(order: Order, reason: str, amount: Decimal) -> PlannedCall:
    return PlannedCall("issue_refund", {"order_id": order.id, "reason": reason, "amount": str(amount)}, amount)


def _ticket(row: IntentRow, case: Case, summary: str) -> PlannedCall:
    return PlannedCall(
        "open_ticket",
        {
            "customer_id": case.customer_id,
            "order_id": None if case.order is None else case.order.id,
            "kind": row.ticket,
            "summary": summary,
        },
    )
