"""Plans one wish: the tables' decision, if the customer requests all of it; otherwise an offer or a question."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from pipelines.customer_operations.consent.judgment import OPEN, needed
from pipelines.customer_operations.consent.reader import Action
from pipelines.customer_operations.policies.decisions import Case, Decision, decide
from pipelines.customer_operations.policies.facts import Order
from pipelines.customer_operations.policies.tables import Policy, Replies
from pipelines.customer_operations.replies import describe, prose

# The code for a message that needs no reply.
PASSED_OVER = "passed_over"
ANSWERED, SHOWN = "policy_answered", "policy_shown"
# Replies that a sentence of the policy can replace.
_UNANSWERED = frozenset({"which_order", "customer_unknown", "handover", "offered", "which_wish", "order_unknown"})
# A customer who wants a person gets one, whatever the policy says.
_ANSWERABLE = frozenset({None, "customer_unknown", "intent_unclear", "not_covered", "no_request"})


@dataclass(frozen=True, slots=True)
class Found:
    """The findings of the systems and the policy about a wish.

    `order` is the system's answer, or the content of the tracking page when the `customer` is unknown; `answer` is
    `ANSWERED` or `SHOWN` where the `quotes` answer the wish's question or may do so.
    """

    customer: Mapping[str, Any] | None
    order: Mapping[str, Any] | None
    order_problem: str | None
    answer: str | None = None
    quotes: tuple[Mapping[str, Any], ...] = ()


def case_of(wish: Mapping[str, Any], customer: Mapping[str, Any], order: Order | None) -> Case:
    """The case that the tables decide."""
    return Case(
        intent=wish["intent"],
        customer_id=customer["customer_id"],
        is_verified=customer["is_verified"],
        order=order,
        address=wish["address"],
    )


def plan(
    policy: Policy, replies: Replies, wish: Mapping[str, Any], found: Found, *, wants_person: bool
) -> tuple[Decision, dict[str, Any] | None]:
    """The decision, and the request that it is based on or lacks; None when nothing is to be done."""
    if wish["is_aside"]:
        return _answer(wish, found) or _unanswered(wish), None
    decision, request = _require_request(policy, replies, wish, _decide(policy, wish, found, wants_person=wants_person))
    if wish["question"] and decision.code in _UNANSWERED and decision.human in _ANSWERABLE:
        answered = _answer(wish, found)
        if answered is not None:
            return answered, None
    return decision, request


def _decide(policy: Policy, wish: Mapping[str, Any], found: Found, *, wants_person: bool) -> Decision:
    if wants_person:
        return Decision("handover", human="person_wanted")
    is_guess = wish["source"] == "classifier"
    if is_guess and _share(wish["confidence"]) < policy.intent_confidence_min:
        return Decision("handover", human="intent_unclear")
    if found.customer is None:
        return _public(policy, found.order)
    if found.order_problem:
        return Decision(found.order_problem)
    case = case_of(wish, found.customer, None if found.order is None else Order.read(found.order))
    chosen = _choose(wish, {each: decide(policy, replace(case, intent=each)) for each in _likely(policy, wish)})
    if chosen.code == "refund_none" and wish.get("looks_back"):
        # Thanks for a refund that the system does not list: whoever gave it knows more than the tables.
        return Decision("handover", human="not_covered")
    return chosen


def _public(policy: Policy, parcel: Mapping[str, Any] | None) -> Decision:
    """What anybody may be told: the tracking page of a parcel."""
    if parcel is None:
        return Decision("customer_unknown", human="customer_unknown")
    if parcel["status"] not in policy.known_statuses:
        return Decision("handover", human="facts_missing")
    return Decision("tracking_told", {name: str(value) for name, value in parcel.items()})


def _likely(policy: Policy, wish: Mapping[str, Any]) -> list[str]:
    """The intent, and those that are about as likely."""
    if wish["source"] == "model":
        return [wish["intent"]]
    near = [
        intent
        for intent, share in wish["alternatives"].items()
        if _share(wish["confidence"]) - _share(share) < policy.intent_margin_min
    ]
    return [wish["intent"], *near]


def _choose(wish: Mapping[str, Any], likely: Mapping[str, Decision]) -> Decision:
    """The decision that does the requested action, of those by the `likely` intents; a question back when unclear.

    A request for money is not a request for a ticket. The likeliest intent determines which ticket is opened: nothing
    is lost by it. An action that only one of the intents would take is offered when nothing is requested.
    """
    first = likely[wish["intent"]]
    acting = [decision for decision in likely.values() if decision.calls]
    asked = [each for each in acting if all(wish["requests"][action]["asked"] for action in _actions(each))]
    moving = {each.code: each for each in asked or acting if _actions(each) != (Action.REPORT,)}
    if len(moving) == 1:
        return next(iter(moving.values()))
    if asked and not moving:
        return asked[0]
    other = next((intent for intent, decision in likely.items() if decision.code != first.code), None)
    if other is None or not acting:
        return first
    facts = {name: value for name, value in first.facts.items() if name == "order"}
    return Decision("which_wish", {**facts, "first": wish["intent"], "second": other})


def _actions(decision: Decision) -> tuple[Action, ...]:
    return needed([call.operation for call in decision.calls])


def _require_request(
    policy: Policy, replies: Replies, wish: Mapping[str, Any], decision: Decision
) -> tuple[Decision, dict[str, Any] | None]:
    """`decision`, if the customer requests all of it, with the request that it is based on."""
    requests = wish["requests"]
    actions = _actions(decision)
    if not actions:
        return decision, None
    is_guess = wish["source"] == "classifier"
    if Action.REPORT in actions and is_guess and _share(wish["confidence"]) < policy.ticket_confidence_min:
        return Decision("handover", human="intent_unclear"), None
    missing = next((action for action in actions if not requests[action]["asked"]), None)
    request = {"action": str(missing or actions[0]), **requests[missing or actions[0]]}
    if missing is None:
        return decision, request
    facts = {name: value for name, value in decision.facts.items() if name != "amount"}
    if request["against"] not in OPEN or "order" not in facts:
        code = "nothing_changed" if "order" in facts else "handover"
        return Decision(code, facts, human="no_request"), request
    # The number that the customer knows, which finds the order again; the system's own id may not.
    words = replies.requests[decision.code].format_map({**decision.calls[0].arguments, **facts})
    offer = describe(replies, decision.calls, policy.currency)
    return Decision("offered", {**facts, "offer": offer, "request": words}), request


def _answer(wish: Mapping[str, Any], found: Found) -> Decision | None:
    """The policy's answer word for word. Where no sentence surely answers, a person first sees those that may help."""
    said = " ".join(prose([quote["quote"] for quote in found.quotes]))
    if found.answer is None or not said:
        return None
    facts = {"question": wish["question"], "quote": said, "document": found.quotes[0]["document"]}
    return Decision(found.answer, facts, human=None if found.answer == ANSWERED else "question_open")


def _unanswered(wish: Mapping[str, Any]) -> Decision:
    """A rhetorical question is passed over ("Can you believe it?"); any other goes to a colleague."""
    if not wish["is_question"]:
        return Decision(PASSED_OVER)
    return Decision("question_open", {"question": wish["question"]}, human="question_open")


def _share(confidence: float) -> Decimal:
    return Decimal(str(confidence))
