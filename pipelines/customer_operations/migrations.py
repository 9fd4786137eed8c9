"""Migrates jobs of earlier graph versions: a job may wait a month for a person."""

from collections.abc import Mapping, Sequence
from typing import Any

from langgraph.graph import START

from pipelines._kit.graph import Continuation

_OF_A_WISH = ("order", "order_problem", "quotes", "approvals", "stopped", "calls", "undone")
_ANSWERED = frozenset({"answer", "send"})


def from_version_1(state: Mapping[str, Any], after: Sequence[str]) -> Continuation:
    """Version 1 read one wish out of a message, and answered as soon as it was done."""
    (node,) = after
    asked = state["asked"]
    if node == START:
        return Continuation({"asked": asked}, START)
    understood = state["understood"]
    carried = {name: state[name] for name in _OF_A_WISH if name in state}
    new: dict[str, Any] = {
        "asked": asked, "calls": [], **carried, "wishes": [_wish(understood)], "settled": [], "answer": None,
        "wants_person": understood["wants_person"], "prompts": understood["prompts"],
    }  # fmt: skip
    if "customer" in state:
        customer = state["customer"]
        new["customer"] = customer and {**customer, "is_verified": bool(asked["customer"]["verified"])}
    if "decision" in state:
        calls = [
            {**call, "name": f"{number}-{call['operation']}"} for number, call in enumerate(state["decision"]["calls"])
        ]
        new["decision"] = {**state["decision"], "calls": calls}
    if node in _ANSWERED:
        made = [call for call in state["calls"] if call["operation"] != "send_message"]
        settled = {"wish": new["wishes"][0], "decision": new["decision"], **carried, "calls": made}
        outcome = {"human": state["outcome"]["human"], "wishes": [state["outcome"]]}
        new |= {"settled": [settled], "calls": [], "outcome": outcome, "reply": state["reply"], "sent": state["sent"]}
    return Continuation(new, node)


def _wish(understood: Mapping[str, Any]) -> dict[str, Any]:
    kept = (
        "intent",
        "confidence",
        "source",
        "alternatives",
        "order",
        "address",
        "requests",
        "orders_named",
        "order_is_open",
    )
    asides = {"question": None, "is_question": False, "is_aside": False, "words": None}
    return {**{name: understood[name] for name in kept}, **asides}
