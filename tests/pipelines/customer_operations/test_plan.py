"""What is done about a wish whose intents lie close together; the tables decide each of them."""

from typing import Any

import pytest

from pipelines.customer_operations.consent.reader import Action
from pipelines.customer_operations.plan import Found, plan
from pipelines.customer_operations.policies.decisions import Decision
from pipelines.customer_operations.policies.tables import load_policy, load_replies

ORDER = {
    "order_id": "VH-1", "service": "express_24", "state": "delivered", "status": "DLV", "tracking": "VHD1",
    "paid": "48.60", "refunded": "0.00", "base_price": "22.40", "fuel_surcharge": "1.90", "options_price": "0.00",
    "times_charged": 1, "placed_on": "2026-04-13", "promised_on": "2026-04-14", "first_attempt_on": "2026-04-15",
    "delivered_on": "2026-04-15", "last_scan_on": "2026-04-15", "last_scan_town": "Utrecht", "declared_value": "120.00",
    "address_changes": 0, "today": "2026-04-20", "refunds": [],
}  # fmt: skip


def planned(intents: dict[str, float], *asked: Action, source: str = "classifier", **order: Any) -> Decision:
    intent, *others = intents
    requests = {
        action.value: {
            "asked": action in asked,
            "words": "words",
            "confidence": 1.0,
            "against": None if action in asked else "no_request",
        }
        for action in Action
    }
    wish = {
        "intent": intent, "confidence": intents[intent], "source": source, "address": None, "requests": requests,
        "alternatives": {each: intents[each] for each in others}, "question": None, "is_aside": False,
    }  # fmt: skip
    found = Found({"customer_id": "C-1", "is_verified": True}, {**ORDER, **order}, None)
    return plan(load_policy(), load_replies(), wish, found, wants_person=False)[0]


def test_of_two_likely_intents_the_one_is_taken_that_does_what_is_asked_for() -> None:
    assert planned({"charged_twice": 0.5, "refund_late_delivery": 0.48}, Action.REFUND).code == "refund_done"
    assert planned({"refund_status": 0.5, "refund_late_delivery": 0.48}, Action.REFUND).code == "refund_done"


@pytest.mark.parametrize("asked", [(Action.REFUND,), ()])
def test_a_tie_between_two_that_would_do_something_else_asks_back(asked: tuple[Action, ...]) -> None:
    tie = {"charged_twice": 0.5, "refund_late_delivery": 0.48}
    decision = planned(tie, *asked, times_charged=2)

    assert (decision.code, decision.calls, decision.human) == ("which_wish", (), None)
    assert (decision.facts["first"], decision.facts["second"]) == ("charged_twice", "refund_late_delivery")


def test_who_asks_for_money_gets_no_ticket_for_an_invoice_instead() -> None:
    tie = {"charged_twice": 0.45, "invoice_question": 0.4}
    assert planned(tie, Action.REFUND, Action.REPORT, times_charged=2).code == "second_charge_refunded"


def test_a_clear_intent_is_no_tie() -> None:
    clear = {"charged_twice": 0.6, "refund_late_delivery": 0.4}
    assert planned(clear, Action.REFUND, times_charged=2).code == "second_charge_refunded"
    of_a_model = planned(
        {"charged_twice": 0.5, "refund_late_delivery": 0.5}, Action.REFUND, source="model", times_charged=2
    )
    assert of_a_model.code == "second_charge_refunded"


def test_what_nothing_would_be_done_about_is_answered() -> None:
    assert planned({"refund_status": 0.5, "order_status": 0.45}).code == "refund_none"
