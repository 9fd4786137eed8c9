"""`customer_operations.resolve` as a graph.

understand → identify → for each wish: read_policy → look_up → decide → approve → act (once per call) → undo → settle;
then answer → send

The model takes part in `understand` and `answer`, and only where it can write; every effect follows from the tables,
and happens only when the customer requests it in this message (`consent`) and the reply is to be sent: a draft changes
nothing. A node requests approval before anything acts, and `act` makes one call, so that a resumed job repeats at most
one call, under its own idempotency key. A wish that is declined or refused does not stop the others.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from decimal import Decimal
from functools import lru_cache
from typing import Any, Protocol, TypedDict

from langgraph.graph import END, START

from core.capability import JobContext
from core.gateway.calls import JobModels
from core.gateway.routing import CHAT, EMBEDDING
from core.guard.links import AllowedLinks
from core.kit.errors import CapabilityFailure, Unavailable
from core.knowledge.service import KnowledgeService
from pipelines._kit.graph import Graph, GraphRunner, add_step, new_graph
from pipelines._kit.prompts import choose_prompt
from pipelines._kit.resources import get_gateway
from pipelines._kit.tools.approvals import ASK_AGAIN, Approval
from pipelines._kit.tools.box import ToolBox
from pipelines._kit.tools.factory import Tools, get_tools
from pipelines.customer_operations import lookup
from pipelines.customer_operations.answers import READERS
from pipelines.customer_operations.approval import ask_person
from pipelines.customer_operations.consent.reader import load_reader
from pipelines.customer_operations.details import mentions
from pipelines.customer_operations.intents.classifier import Guess, IntentClassifier
from pipelines.customer_operations.intents.examples import Classifiers, LocalEmbedder, load_examples
from pipelines.customer_operations.outcome import conclude, finish
from pipelines.customer_operations.plan import ANSWERED, PASSED_OVER, SHOWN, Found, case_of, plan
from pipelines.customer_operations.policies.decisions import Decision, PlannedCall
from pipelines.customer_operations.policies.tables import load_policy, load_replies, policy_version
from pipelines.customer_operations.policy_quotes import quote_policy
from pipelines.customer_operations.reading import read_so_far
from pipelines.customer_operations.replies import describe, greeting, render, word
from pipelines.customer_operations.schemas import VERIFY, ResolveInput, ResolveOutput
from pipelines.customer_operations.structured import can_write
from pipelines.customer_operations.understanding import PACKAGE, understand
from pipelines.customer_operations.wishes import WishReader

# Why a step stopped: the decision or the approval is no longer valid.
_AGAIN = "again"
_AGAIN_MAX = 10
_CALLER_ENDED = frozenset({"key_revoked", "not_a_member"})


class ResolveState(TypedDict, total=False):
    """The state between steps. Plain data: a new attempt reads it back.

    The fields from `quotes` to `undone` belong to the current wish; `settled` holds the same of earlier ones.
    """

    asked: dict[str, Any]
    wishes: list[dict[str, Any]]
    wants_person: bool
    prompts: dict[str, str]
    customer: dict[str, Any] | None
    settled: list[dict[str, Any]]
    quotes: list[dict[str, Any]]
    answer: str | None
    order: dict[str, Any] | None
    order_problem: str | None
    decision: dict[str, Any]
    approvals: dict[str, dict[str, Any]]
    lapsed: dict[str, dict[str, Any]]
    asked_again: int
    stopped: str | None
    calls: list[dict[str, Any]]
    undone: list[str]
    outcome: dict[str, Any]
    reply: dict[str, Any]
    sent: bool


class Models(Protocol):
    """The part of `core.gateway.service.Gateway` that is used here."""

    def for_job(self, ctx: JobContext) -> JobModels:
        """The models of the job."""

    def embedder(self) -> LocalEmbedder:
        """The embedded model itself, which embeds the shipped examples once a process."""


@lru_cache(maxsize=1)
def _learned() -> Classifiers:
    """Classifiers learned from the shipped examples; they belong to the process."""
    return Classifiers(load_examples())


class Resolve:
    """The nodes. Safe in several threads."""

    def __init__(self, models: Models, knowledge: KnowledgeService, tools: Tools) -> None:
        self._models = models
        self._knowledge = knowledge
        self._tools = tools
        self._intents, self._reader = _learned(), load_reader()
        self._policy = load_policy()
        self._replies = load_replies()
        self._rules = policy_version()

    def graph(self) -> Graph:
        """The graph, not compiled."""
        graph = new_graph(ResolveState)
        nodes = {
            "understand": self._understand,
            "identify": self._identify,
            "read_policy": self._read_policy,
            "look_up": self._look_up,
            "decide": self._decide,
            "approve": self._approve,
            "act": self._act,
            "undo": self._undo,
            "settle": _settle,
            "answer": self._answer,
            "send": self._send,
        }
        for name, node in nodes.items():
            add_step(graph, name, node)
        graph.add_edge(START, "understand")
        graph.add_edge("understand", "identify")
        graph.add_edge("identify", "read_policy")
        graph.add_edge("read_policy", "look_up")
        graph.add_edge("look_up", "decide")
        graph.add_conditional_edges("decide", _after_decision, ["approve", "settle"])
        graph.add_conditional_edges("approve", _after_approval, ["act", "decide", "settle"])
        graph.add_conditional_edges("act", _after_act, ["act", "decide", "approve", "undo", "settle"])
        graph.add_edge("undo", "settle")
        graph.add_conditional_edges("settle", _after_wish, ["read_policy", "answer"])
        graph.add_conditional_edges("answer", _after_answer, ["send", END])
        graph.add_edge("send", END)
        return graph

    def _understand(self, state: ResolveState, ctx: JobContext) -> Mapping[str, Any]:
        asked, models = state["asked"], self._models.for_job(ctx)

        def guess(texts: Sequence[str]) -> Guess:
            return self._classifier(models).guess_together(texts, models.embed(EMBEDDING, texts))

        reader = WishReader(self._policy, self._reader, guess, order=asked["order"], thread=asked["thread"])
        read = understand(models, reader, asked["message"])
        return {
            "wishes": [wish.plain() for wish in read.wishes],
            "wants_person": read.wants_person or mentions(asked["message"], self._policy.handover_words),
            "prompts": dict(read.prompts),
            "settled": [],
            "calls": [],
        }

    def _classifier(self, models: JobModels) -> IntentClassifier:
        model = models.resolve(EMBEDDING).price_model
        local = self._models.embedder()
        # The examples belong to this process and to no job; with another model they have to pass the gateway.
        return self._intents.get(
            model, local.embed if local.name == model else lambda texts: models.embed(EMBEDDING, texts)
        )

    def _identify(self, state: ResolveState, ctx: JobContext) -> Mapping[str, Any]:
        reference = state["asked"]["customer"]
        if reference is None:
            return {"customer": None}
        customer = lookup.find_customer(self._box(ctx, "identify", state), reference)
        is_verified = bool(reference["verified"]) and _may_vouch(ctx)
        return {"customer": customer and {**customer, "is_verified": is_verified}}

    def _read_policy(self, state: ResolveState, ctx: JobContext) -> Mapping[str, Any]:
        base, wish = state["asked"]["knowledge_base"], _wish(state)
        if base is None:
            return {"quotes": [], "answer": None}
        models = self._models.for_job(ctx)
        for code in (ANSWERED, SHOWN) if wish["question"] else ():
            seeks_evidence = code == SHOWN
            found = quote_policy(ctx, models, self._knowledge, base, wish["question"], seeks_evidence=seeks_evidence)
            if found:
                return {"quotes": found, "answer": code}
        if wish["is_aside"]:
            return {"quotes": [], "answer": None}
        question = self._policy.intents[wish["intent"]].question
        return {"quotes": quote_policy(ctx, models, self._knowledge, base, question), "answer": None}

    def _look_up(self, state: ResolveState, ctx: JobContext) -> Mapping[str, Any]:
        box, wish, customer = self._box(ctx, _named("look_up", state), state), _wish(state), state["customer"]
        if wish["is_aside"]:
            return {"order": None, "order_problem": None}
        if customer is None:
            return lookup.public(box, self._policy, wish["order"])
        if wish["order"] is None and (wish["orders_named"] > 1 or wish["order_is_open"]):
            return {"order": None, "order_problem": "which_order"}
        return lookup.order_of(box, self._policy, case_of(wish, customer, None), wish["order"])

    def _decide(self, state: ResolveState, ctx: JobContext) -> Mapping[str, Any]:
        ctx.check()
        found = Found(
            state["customer"], state["order"], state["order_problem"], state["answer"], tuple(state["quotes"])
        )
        decision, request = plan(self._policy, self._replies, _wish(state), found, wants_person=state["wants_person"])
        drafted = self._proposed(ctx, state, decision) if state["asked"]["delivery"] == "draft" else []
        return {
            "decision": {
                "code": decision.code,
                "facts": dict(decision.facts),
                "human": decision.human,
                "request": request,
                "rules": self._rules,
                "calls": [
                    {
                        "name": _named(f"{number}-{call.operation}", state),
                        "operation": call.operation,
                        "arguments": dict(call.arguments),
                        "amount": None if call.amount is None else str(call.amount),
                        "read": list(call.read),
                    }
                    for number, call in enumerate(decision.calls)
                ],
            },
            "approvals": {},
            "stopped": None,
            "calls": drafted,
            "undone": [],
        }

    def _proposed(self, ctx: JobContext, state: ResolveState, decision: Decision) -> list[dict[str, Any]]:
        """The calls of a draft, which are shown but not made."""
        box = self._box(ctx, "decide", state)
        return [
            box.propose(call.operation, call.amount, call=_named(f"{number}-{call.operation}", state)).plain()
            for number, call in enumerate(decision.calls)
            if box.offers(call.operation)
        ]

    def _approve(self, state: ResolveState, ctx: JobContext) -> Mapping[str, Any]:
        """Request approval for every call that needs a person, before the first one is made."""
        asked, decision = state["asked"], state["decision"]
        if decision.get("rules") != self._rules and not state["calls"]:
            return {"stopped": _AGAIN}
        box, approvals, lapsed = self._box(ctx, "approve", state), dict(state["approvals"]), state.get("lapsed", {})
        stricter = None if asked["approval_above"] is None else Decimal(asked["approval_above"])
        for number, call in enumerate(decision["calls"]):
            amount = None if call["amount"] is None else Decimal(call["amount"])
            if number < len(state["calls"]) or not box.offers(call["operation"]):
                continue
            taints = box.tainted(call["operation"], call["arguments"], computed=_computed(call))
            if not taints and not box.needs_approval(call["operation"], amount, lower_to=stricter):
                continue
            before = lapsed.get(str(number))
            approval = ask_person(
                ctx,
                box.bind(call["operation"], call["arguments"], call=call["name"], step="act"),
                call,
                currency=self._policy.currency,
                facts=decision["facts"],
                request=decision["request"],
                effect=describe(
                    self._replies, [PlannedCall(call["operation"], call["arguments"], amount)], self._policy.currency
                ),
                taints=taints,
                timeout_seconds=asked["approval_timeout_seconds"],
                before=Approval(**before) if before else None,
            )
            if not isinstance(approval, Approval):
                return {"stopped": "approval_open" if approval is None else "declined"}
            approvals[str(number)] = asdict(approval)
        return {"approvals": approvals, "stopped": None}

    def _act(self, state: ResolveState, ctx: JobContext) -> Mapping[str, Any]:
        """Make the next call of the plan."""
        number, decision, again = len(state["calls"]), state["decision"], state.get("asked_again", 0)
        if number == 0 and decision.get("rules") != self._rules:
            return {"stopped": _AGAIN}
        call = decision["calls"][number]
        given = state["approvals"].get(str(number))
        approval = Approval(**given) if given else None
        box, name = self._box(ctx, "act", state), call["name"]
        try:
            outcome = box.call(
                call["operation"], call["arguments"], call=name, approval=approval, computed=_computed(call)
            )
        except CapabilityFailure as failure:
            if failure.retryable or failure.code in _CALLER_ENDED:
                raise
            if failure.code in ASK_AGAIN and again < _AGAIN_MAX:
                lapsed = {**state.get("lapsed", {}), **({str(number): given} if given else {})}
                return {"stopped": _AGAIN, "lapsed": lapsed, "asked_again": again + 1}
            # A limit, or a tool that is not attached: earlier calls have to be undone, and reported.
            outcome = box.refuse(call["operation"], failure, call=name)
        stopped = None if outcome.status == "done" else "action_failed"
        return {"calls": [*state["calls"], outcome.plain()], "stopped": stopped}

    def _undo(self, state: ResolveState, ctx: JobContext) -> Mapping[str, Any]:
        """The plan failed: undo the earlier calls, last first, as far as the tools can."""
        box, undone = self._box(ctx, "undo", state), list(state["undone"])
        for done in reversed(box.outcomes[-len(state["calls"]) :]):
            result = box.compensate(done)
            if result is not None and result.status == "done":
                undone.append(done.call)
        return {"undone": undone}

    def _answer(self, state: ResolveState, ctx: JobContext) -> Mapping[str, Any]:
        outcomes = [conclude(wish) for wish in state["settled"]]
        models, replies = self._models.for_job(ctx), self._replies
        # An address by itself proves nothing: only a verified customer gets the name that belongs to it.
        customer = state["customer"] if state["customer"] and state["customer"]["is_verified"] else None
        name: str | None = customer["name"] and models.strip_links(customer["name"]) if customer else None
        said = []
        for wish, outcome in zip(state["settled"], outcomes, strict=True):
            if outcome["code"] == PASSED_OVER:
                continue
            # The records of an order in the systems were written by others.
            facts = {key: models.strip_links(fact) for key, fact in outcome["facts"].items()}
            if any(call["status"] == "proposed" for call in wish["calls"]):
                offer = describe(replies, [_planned(call) for call in wish["decision"]["calls"]], self._policy.currency)
                said.append(("proposed", {**facts, "offer": offer}))
            else:
                said.append((outcome["code"], facts))
        template = render(replies, said, name)
        prompts, worded, model = {}, None, None
        if can_write(models):
            prompt = choose_prompt(models, models.resolve(CHAT), PACKAGE, "reply")
            prompts["reply"] = prompt.digest
            worded = word(
                models,
                prompt.text,
                template=template,
                message=state["asked"]["message"],
                facts=[
                    *(facts for _, facts in said),
                    {"greeting": greeting(replies, name), "closing": replies.closing},
                ],
                quotes=[quote["quote"] for wish in state["settled"] for quote in wish["quotes"]],
                money_moved=any(outcome["money_moved"] for outcome in outcomes),
            )
            model = models.resolve("default").price_model if worded else None
        text = ctx.with_notice(worded or template)
        ctx.delta(text)
        reply = {"text": text, "source": "model" if worded else "template", "model": model, "prompts": prompts}
        human = next((outcome["human"] for outcome in outcomes if outcome["human"]), None)
        return {"outcome": {"human": human, "wishes": outcomes}, "reply": reply, "sent": False}

    def _send(self, state: ResolveState, ctx: JobContext) -> Mapping[str, Any]:
        customer = state["customer"]
        assert customer is not None
        outcome = self._box(ctx, "send", state).call(
            "send_message",
            {"customer_id": customer["customer_id"], "body": state["reply"]["text"]},
            call="reply",
            computed=("customer_id",),
            customer_texts=("body",),
        )
        concluded = dict(state["outcome"])
        if outcome.status != "done":
            concluded["human"] = "reply_not_sent"
        return {"sent": outcome.status == "done", "outcome": concluded}

    def _box(self, ctx: JobContext, step: str, state: ResolveState) -> ToolBox:
        policy, policies = self._models.for_job(ctx).policy, self._tools.policies
        other = policies.find("issue_refund", ctx.project_id)
        if other is not None and other.currency != self._policy.currency:
            raise Unavailable(
                f"{other.tool} moves {other.currency}, and policy.toml says {self._policy.currency}",
                code="tool_servers_invalid",
            )
        return ToolBox(
            ctx,
            policies,
            self._tools.client,
            step,
            [*(call for wish in state.get("settled", ()) for call in wish["calls"]), *state.get("calls", ())],
            tracker=read_so_far(state, is_on=policy.untrusted.effects),
            links=AllowedLinks.of(policy.link_hosts) if policy.untrusted.links else None,
            readers=READERS,
            rules=self._rules,
        )


def _may_vouch(ctx: JobContext) -> bool:
    """Whether the caller behind the job may still vouch for the sender."""
    try:
        ctx.require(VERIFY)
    except CapabilityFailure as failure:
        if failure.code != "scope_missing":
            raise
        return False
    return True


def _wish(state: ResolveState) -> dict[str, Any]:
    """The current wish."""
    return state["wishes"][len(state["settled"])]


def _named(name: str, state: ResolveState) -> str:
    """`name`, with a number for the wishes after the first, so that their questions and calls differ."""
    number = len(state["settled"])
    return f"{name}-wish{number + 1}" if number else name


def _settle(state: ResolveState, ctx: JobContext) -> Mapping[str, Any]:
    """Store the outcome of a wish."""
    ctx.check()
    settled = {
        "wish": _wish(state),
        "quotes": state["quotes"],
        "order": state["order"],
        "decision": state["decision"],
        "stopped": state["stopped"],
        "calls": state["calls"],
        "undone": state["undone"],
    }
    begun: dict[str, Any] = {
        "calls": [],
        "undone": [],
        "stopped": None,
        "approvals": {},
        "lapsed": {},
        "asked_again": 0,
    }
    return {"settled": [*state["settled"], settled], **begun}


def _computed(call: Mapping[str, Any]) -> set[str]:
    """The arguments of a planned call that the tables worked out."""
    return set(call["arguments"]) - set(call.get("read", ()))


def _planned(call: Mapping[str, Any]) -> PlannedCall:
    return PlannedCall(
        call["operation"], call["arguments"], None if call["amount"] is None else Decimal(call["amount"])
    )


def _after_decision(state: ResolveState) -> str:
    """A draft is never more than an answer, whatever was decided."""
    acts = state["decision"]["calls"] and state["asked"]["delivery"] == "send"
    return "approve" if acts else "settle"


def _after_approval(state: ResolveState) -> str:
    if state["stopped"] == _AGAIN:
        return "decide"
    return "settle" if state["stopped"] else "act"


def _after_act(state: ResolveState) -> str:
    if state["stopped"] == _AGAIN:
        # Calls that were not started are decided again, by the current rules.
        return "approve" if state["calls"] else "decide"
    if state["stopped"]:
        # A call that may have happened is not undone by guessing; a person reviews it.
        is_clear = state["calls"][-1]["status"] == "refused"
        return "undo" if is_clear and len(state["calls"]) > 1 else "settle"
    return "act" if len(state["calls"]) < len(state["decision"]["calls"]) else "settle"


def _after_wish(state: ResolveState) -> str:
    return "read_policy" if len(state["settled"]) < len(state["wishes"]) else "answer"


def _after_answer(state: ResolveState) -> str:
    wanted = state["asked"]["delivery"] == "send" and state["customer"] is not None
    return "send" if wanted and state["outcome"]["human"] is None else END


def _begin(asked: ResolveInput) -> Mapping[str, Any]:
    return {"asked": asked.model_dump(mode="json")}


def make_runner(models: Models, knowledge: KnowledgeService, tools: Tools) -> GraphRunner[ResolveInput, ResolveOutput]:
    """The capability over the given models, knowledge bases and tools."""
    return GraphRunner(Resolve(models, knowledge, tools).graph(), begin=_begin, finish=finish)


def build() -> GraphRunner[ResolveInput, ResolveOutput]:
    """The entry point named by the manifest."""
    return make_runner(get_gateway(), KnowledgeService(), get_tools())
