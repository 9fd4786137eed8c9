"""The outcome of a message: the reply's code and facts, whether a person is needed, and the job's result."""

from collections.abc import Mapping
from typing import Any

from pipelines.customer_operations.plan import PASSED_OVER
from pipelines.customer_operations.schemas import ResolveOutput

# Why a person takes over, by code.
HUMAN = {
    "person_wanted": "The customer asks for a person, or the message touches what only people handle.",
    "intent_unclear": "It is not clear what the message wants.",
    "no_request": "The message speaks of something that could be done, and does not ask for it. Nothing was changed.",
    "draft_only": "The actions are proposed and nothing was changed: a job with the delivery `send` carries them out.",
    "not_covered": "No policy table covers what the message wants.",
    "facts_missing": (
        "The company's system does not say what the policy tables need for this, or says it in a word that no"
        " rule knows."
    ),
    "customer_unknown": "Nobody knows who writes.",
    "identity_unverified": "The channel did not make sure who writes, and the wish would change or tell something.",
    "address_needs_colleague": "This change of address needs a colleague.",
    "address_fee_to_confirm": "The change of address costs money, and the customer has to agree to the price.",
    "declined": "A person declined the payment; the customer should be told why.",
    "approval_open": "Nobody approved the payment in time; nothing was moved.",
    "action_refused": "The system refused an action that the policy allows.",
    "action_unknown": "No answer came to an action; it may have happened, and has to be looked up.",
    "action_undone": "An action was refused half-way; what had been done was undone.",
    "question_open": "The message asks something that no sentence of the policy answers for certain.",
    "reply_not_sent": "The reply could not be sent.",
}


def conclude(state: Mapping[str, Any]) -> dict[str, Any]:
    """Code and facts of the reply, ``human`` (a code of `HUMAN` or None) and whether money moved."""
    decision, calls, stopped = state["decision"], state["calls"], state["stopped"]
    facts, human, code = dict(decision["facts"]), decision["human"], decision["code"]
    kept = [call for call in calls if call["status"] == "done" and call["call"] not in state["undone"]]
    for call in kept:
        if ticket := call["result"].get("ticket_id"):
            facts["ticket"] = str(ticket)
        if method := call["result"].get("method"):
            facts["method"] = str(method)
    if stopped in {"declined", "approval_open"}:
        code = human = stopped
    elif stopped is not None:
        code = "action_failed"
        human = "action_unknown" if calls[-1]["status"] == "unknown" else "action_refused"
        if state["undone"]:
            human = "action_undone"
        facts.pop("amount", None)
    if human is None and any(call["status"] == "proposed" for call in calls):
        human = "draft_only"
    moved = any(call["effect"] == "money" for call in kept)
    return {"code": code, "facts": facts, "human": human, "money_moved": moved}


def finish(state: Mapping[str, Any]) -> ResolveOutput:
    """The job's result."""
    outcome, reply, customer = state["outcome"], state["reply"], state["customer"]
    pairs = zip(state["settled"], outcome["wishes"], strict=True)
    wishes = [_result(settled, of_wish) for settled, of_wish in pairs if of_wish["code"] != PASSED_OVER]
    first = wishes[0]
    return ResolveOutput.model_validate(
        {
            **{name: first[name] for name in ("intent", "order", "decision", "request")},
            "wishes": wishes,
            "customer_id": customer and customer["customer_id"],
            "actions": [action for wish in wishes for action in wish["actions"]],
            "reply": reply["text"],
            "reply_source": reply["source"],
            "sent": state["sent"],
            "policy": [quote for settled in state["settled"] for quote in settled["quotes"]],
            "needs_human": _human(outcome["human"]),
            "model": reply["model"],
            "prompts": {**state["prompts"], **reply["prompts"]},
        }
    )


def _result(settled: Mapping[str, Any], outcome: Mapping[str, Any]) -> dict[str, Any]:
    """The result of one wish."""
    wish, order = settled["wish"], settled["order"] or {}
    shown = ("operation", "tool", "server", "effect", "status", "amount", "currency", "approved_by", "result", "code")
    return {
        "intent": {
            "name": wish["intent"],
            "confidence": round(min(1.0, wish["confidence"]), 4),
            "source": wish["source"],
            "alternatives": {name: round(share, 4) for name, share in wish["alternatives"].items()},
        },
        "words": wish["words"],
        "order": order.get("order_id") or order.get("tracking"),
        "decision": outcome["code"],
        "request": settled["decision"]["request"],
        "actions": [
            {**{name: call[name] for name in shown}, **_undone(call, settled["undone"])} for call in settled["calls"]
        ],
        "needs_human": _human(outcome["human"]),
    }


def _human(code: str | None) -> dict[str, str] | None:
    return None if code is None else {"code": code, "message": HUMAN[code]}


def _undone(call: Mapping[str, Any], undone: list[str]) -> dict[str, str]:
    return {"status": "compensated"} if call["call"] in undone else {}
