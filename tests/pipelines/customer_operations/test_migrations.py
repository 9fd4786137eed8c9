"""Jobs that began with the first version of the graph, which read one wish out of a message."""

from typing import Any

import pytest
from langgraph.graph import START

from pipelines.customer_operations.migrations import from_version_1
from pipelines.customer_operations.outcome import finish

ASKED = {"message": "Refund VH-1", "customer": {"email": "a@b.c", "verified": True}}
CALL = {"operation": "issue_refund", "arguments": {"order_id": "VH-1"}, "amount": "24.30", "read": []}
MADE: dict[str, Any] = {
    "operation": "issue_refund", "tool": "refund", "server": "shop", "effect": "money", "status": "done",
    "amount": "24.30", "currency": "EUR", "approved_by": None, "result": {}, "code": None, "call": "0-issue_refund",
}  # fmt: skip
SENT = {**MADE, "operation": "send_message", "effect": "write", "amount": None, "call": "reply"}


def state(**rest: Any) -> dict[str, Any]:
    understood = {
        "intent": "refund_late_delivery", "confidence": 0.9, "source": "classifier", "alternatives": {},
        "order": "VH-1", "address": None, "orders_named": 1, "order_is_open": False, "requests": {},
        "wants_person": False, "prompts": {},
    }  # fmt: skip
    customer = {"customer_id": "C-1", "name": "Ann"}
    return {"asked": ASKED, "understood": understood, "customer": customer, "quotes": [], **rest}


def decided(**rest: Any) -> dict[str, Any]:
    decision: dict[str, Any] = {"code": "refund_done", "facts": {}, "human": None, "request": None, "calls": [CALL]}
    found = {"order": {"order_id": "VH-1"}, "order_problem": None}
    return state(decision=decision, approvals={}, stopped=None, calls=[], undone=[], **found, **rest)


def test_a_job_that_has_not_begun_begins() -> None:
    assert from_version_1({"asked": ASKED}, [START]).state == {"asked": ASKED}


@pytest.mark.parametrize("node", ["understand", "identify", "read_policy", "look_up"])
def test_what_was_found_out_is_kept(node: str) -> None:
    going_on = from_version_1(state(), [node])

    assert going_on.after == node
    assert going_on.state["customer"] == {"customer_id": "C-1", "name": "Ann", "is_verified": True}
    assert [wish["order"] for wish in going_on.state["wishes"]] == ["VH-1"]
    assert going_on.state["settled"] == []


@pytest.mark.parametrize("node", ["decide", "approve", "act"])
def test_a_call_keeps_the_name_that_its_question_and_its_key_hold(node: str) -> None:
    going_on = from_version_1(decided(), [node])

    assert [call["name"] for call in going_on.state["decision"]["calls"]] == ["0-issue_refund"]


def test_what_was_answered_is_finished() -> None:
    outcome: dict[str, Any] = {"code": "refund_done", "facts": {}, "human": None, "money_moved": True}
    reply: dict[str, Any] = {"text": "Done.", "source": "template", "model": None, "prompts": {}}
    old = {**decided(outcome=outcome, reply=reply, sent=True), "calls": [MADE, SENT]}
    output = finish(from_version_1(old, ["send"]).state)

    assert (output.decision, output.sent, output.reply) == ("refund_done", True, "Done.")
    assert [action.operation for action in output.actions] == ["issue_refund"]
