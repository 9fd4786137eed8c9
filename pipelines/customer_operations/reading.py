"""Tracks what a job has read, by author: only the customer's own words can justify an action."""

from collections.abc import Mapping
from typing import Any

from core.guard.records import Source
from core.guard.taint import TaintTracker
from pipelines.customer_operations.consent.own_words import own_text


def read_so_far(state: Mapping[str, Any], *, is_on: bool) -> TaintTracker:
    """The tracker of a step, from the graph's state, so that a later attempt knows what an earlier one has read.

    Mail that the customer quotes or forwards counts as another author's; the systems' data of the order is a record.
    """
    asked, tracker = state["asked"], TaintTracker(is_on=is_on)
    tracker.vouch(own_text(asked["message"]), asked["order"] or "")
    tracker.seen(Source.REMOTE, asked["message"])
    for said in asked["thread"]:
        tracker.seen(Source.REMOTE, said["text"])
    tracker.record(Source.TOOL_OUTPUT, state.get("customer"))
    for wish in (*state.get("settled", ()), state):
        for quote in wish.get("quotes") or ():
            tracker.seen(Source.DOCUMENT, quote["quote"])
        tracker.record(Source.TOOL_OUTPUT, wish.get("order"))
    return tracker
