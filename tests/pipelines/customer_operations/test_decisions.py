from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from pipelines.customer_operations.intents.examples import load_examples
from pipelines.customer_operations.outcome import HUMAN
from pipelines.customer_operations.policies.decisions import Case, Decision, amount_due, decide
from pipelines.customer_operations.policies.facts import Order, working_days
from pipelines.customer_operations.policies.tables import load_policy, load_replies
from pipelines.customer_operations.replies import render

POLICY = load_policy()


def order(**changes: Any) -> Order:
    answer: dict[str, Any] = {
        "order_id": "VH-1",
        "service": "express_24",
        "state": "delivered",
        "status": "DLV",
        "tracking": "VHD1",
        "paid": "26.30",
        "refunded": "0.00",
        "base_price": "22.40",
        "fuel_surcharge": "1.90",
        "options_price": "2.00",
        "times_charged": 1,
        "placed_on": "2026-04-13",
        "promised_on": "2026-04-14",
        "first_attempt_on": "2026-04-15",
        "delivered_on": "2026-04-15",
        "last_scan_on": "2026-04-15",
        "last_scan_town": "Utrecht",
        "declared_value": "120.00",
        "address_changes": 0,
        "today": "2026-04-20",
        "refunds": [],
    }
    return Order.read({**answer, **changes})


def decided(intent: str, about: Order | None, *, verified: bool = True, **rest: Any) -> Decision:
    return decide(POLICY, Case(intent, "C-1", verified, about, **rest))


def test_working_days_leave_out_weekends() -> None:
    assert working_days(date(2026, 4, 17), date(2026, 4, 20)) == 1
    assert working_days(date(2026, 4, 13), date(2026, 4, 13)) == 0
    assert working_days(date(2026, 4, 13), date(2026, 4, 20)) == 5
    assert working_days(date(2026, 4, 20), date(2026, 4, 13)) == 0


@pytest.mark.parametrize(
    ("reason", "changes", "due"),
    [
        ("express_late", {}, "24.30"),
        ("express_late", {"first_attempt_on": "2026-04-14"}, None),
        ("express_late", {"first_attempt_on": None}, None),
        ("express_late", {"service": "standard"}, None),
        ("standard_late", {"service": "standard", "first_attempt_on": "2026-04-21"}, None),
        ("standard_late", {"service": "standard", "first_attempt_on": "2026-04-22"}, "11.20"),
        ("standard_late", {"service": "standard", "first_attempt_on": "2026-04-22", "base_price": "9.85"}, "4.92"),
        ("lost", {"state": "lost"}, "26.30"),
        ("unused_label", {"status": "LBL"}, "26.30"),
        ("charged_twice", {}, None),
        ("charged_twice", {"times_charged": 2}, "26.30"),
    ],
)
def test_the_table_says_how_much(reason: Any, changes: dict[str, Any], due: str | None) -> None:
    assert amount_due(POLICY, reason, order(**changes)) == (None if due is None else Decimal(due))


@pytest.mark.parametrize(("today", "code"), [("2026-04-29", "refund_done"), ("2026-04-30", "refund_window_closed")])
def test_the_last_day_of_a_window_is_inside_it(today: str, code: str) -> None:
    assert decided("refund_late_delivery", order(today=today)).code == code


def test_a_refund_is_never_above_what_is_left_of_the_payment() -> None:
    decision = decided("refund_late_delivery", order(refunded="20.00"))
    assert [call.amount for call in decision.calls] == [Decimal("6.30")]
    assert decided("refund_late_delivery", order(refunded="26.30")).calls == ()


@pytest.mark.parametrize("intent", sorted(POLICY.intents))
def test_without_a_verified_customer_nothing_changes_but_a_ticket(intent: str) -> None:
    for status in ("LBL", "COL", "TRN", "DLV", "LST"):
        about = order(status=status, state="lost" if status == "LST" else "booked" if status == "LBL" else "delivered")
        decision = decided(intent, about, verified=False)
        assert {call.operation for call in decision.calls} <= {"open_ticket"}


@pytest.mark.parametrize("intent", sorted(POLICY.intents))
@pytest.mark.parametrize("status", ["LBL", "COL", "SRT", "TRN", "DEP", "OFD", "ATT", "HLD", "DLV", "RTS", "LST"])
def test_every_decision_has_a_reply_and_calls_only_what_its_row_allows(intent: str, status: str) -> None:
    states = {"LBL": "booked", "DLV": "delivered", "LST": "lost"}
    address = {"street": "Meir 24", "postcode": "2000", "city": "Antwerp"}
    for about in (None, order(status=status, state=states.get(status, "in_transit"))):
        decision = decided(intent, about, address=address)
        assert {call.operation for call in decision.calls} <= set(POLICY.intents[intent].operations)
        assert decision.human is None or decision.human in HUMAN
        facts = {**decision.facts, "ticket": "T-1", "method": "credit"}
        text = render(load_replies(), [(decision.code, facts)], "Mila")
        assert text.startswith("Dear Mila,")
        assert " - " not in text
        assert "{" not in text


@pytest.mark.parametrize(
    ("changes", "code", "human"),
    [
        ({"status": "COL"}, "address_changed", None),
        ({"status": "TRN"}, "address_fee", "address_fee_to_confirm"),
        ({"status": "OFD"}, "address_not_possible", None),
        ({"status": "COL", "address_changes": 2}, "address_not_possible", None),
        ({"status": "COL", "declared_value": "2500.01"}, "address_colleague", "address_needs_colleague"),
        ({"status": "HLD"}, "address_colleague", "address_needs_colleague"),
    ],
)
def test_an_address_changes_by_its_table(changes: dict[str, Any], code: str, human: str | None) -> None:
    address = {"street": "Meir 24", "postcode": "2000", "city": "Antwerp"}
    decision = decided("address_change", order(**changes), address=address)
    assert (decision.code, decision.human) == (code, human)
    assert bool(decision.calls) == (code == "address_changed")


def test_every_intent_has_a_row_and_examples() -> None:
    examples = load_examples()
    assert set(examples) == set(POLICY.intents)
    assert min(len(texts) for texts in examples.values()) >= 10
    assert len({text for texts in examples.values() for text in texts}) == sum(map(len, examples.values()))


@pytest.mark.parametrize("intent", ["cancel_order", "address_change", "order_status"])
@pytest.mark.parametrize("state", ["canceled", "cancelled"])
def test_what_is_canceled_already_is_not_called_impossible(intent: str, state: str) -> None:
    address = {"street": "Meir 24", "postcode": "2000", "city": "Antwerp"}
    gone = {"state": state, "status": "LBL", "first_attempt_on": None}
    paid = {"reason": "unused_label", "amount": "26.30", "made_on": "2026-04-16", "state": "approved"}

    assert decided(intent, order(**gone), address=address).code == "canceled_before"
    back = decided(intent, order(**gone, refunds=[paid], refunded="26.30"), address=address)
    assert (back.code, back.facts["amount"], back.calls) == ("canceled_before_refunded", "26.30", ())
    if intent == "cancel_order":
        assert decided(intent, order()).code == "cancel_not_possible"
