"""`agent.run` as a graph.

think → act (once per call) → think … → listen → think …

A node that has finished is never run again: the model is not called twice for the same step, and an effect is not
carried out twice. `listen` waits for the user's next message, for days if need be, without holding a worker.
"""

from collections.abc import Mapping
from typing import Any, Protocol, TypedDict

from langgraph.graph import END, START

from core.capability import JobContext
from core.gateway.calls import JobModels
from core.gateway.routing import CHAT
from core.guard.links import AllowedLinks
from core.guard.taint import TaintTracker
from core.kit.errors import CapabilityFailure
from pipelines._kit.graph import Graph, GraphRunner, add_step, new_graph
from pipelines._kit.prompts import choose_prompt
from pipelines._kit.resources import get_gateway
from pipelines._kit.tools.box import ToolBox
from pipelines._kit.tools.client import OfferedTool
from pipelines._kit.tools.exchange import Exchange
from pipelines._kit.tools.factory import Tools, get_tools
from pipelines._kit.tools.policies import Effect, ToolPolicy
from pipelines.agent import conversation
from pipelines.agent.belt import Belt, specs
from pipelines.agent.conversation import Entry
from pipelines.agent.schemas import NextMessage, RunInput, RunOutput

_PACKAGE = "pipelines.agent"
_CUT_OFF = "I could not finish this. A colleague will look at it."


class RunState(TypedDict, total=False):
    """The state between steps. Plain data: a new attempt reads it back."""

    asked: dict[str, Any]
    entries: list[Entry]
    pending: list[dict[str, str]]
    # Outcomes of all calls, those that only read included, and the words that requested those with an effect.
    calls: list[dict[str, Any]]
    words: dict[str, str]
    undone: list[str]
    steps: int
    stopped: str | None
    model: str
    prompts: dict[str, str]


class Models(Protocol):
    """The part of `core.gateway.service.Gateway` that is used here."""

    def for_job(self, ctx: JobContext) -> JobModels:
        """The models of the job."""


class Agent:
    """The nodes. Safe in several threads."""

    def __init__(self, models: Models, tools: Tools) -> None:
        self._models = models
        self._tools = tools

    def graph(self) -> Graph:
        """The graph, not compiled."""
        graph = new_graph(RunState)
        add_step(graph, "think", self._think)
        add_step(graph, "act", self._act)
        add_step(graph, "listen", self._listen)
        graph.add_edge(START, "think")
        graph.add_conditional_edges("think", _after_thinking, ["act", "listen", END])
        graph.add_conditional_edges("act", _after_acting, ["act", "think"])
        graph.add_conditional_edges("listen", _after_listening, ["think", END])
        return graph

    def _think(self, state: RunState, ctx: JobContext) -> Mapping[str, Any]:
        """Ask the model for the next step."""
        asked, models, steps = state["asked"], self._models.for_job(ctx), state["steps"]
        if steps >= asked["max_steps"]:
            return {"entries": [*state["entries"], conversation.agent(_CUT_OFF)], "stopped": "max_steps"}
        resolved = models.resolve(CHAT)
        prompt = choose_prompt(models, resolved, _PACKAGE, "agent")
        policies = self._policies(ctx, asked)
        tools = specs(policies, self._offered(ctx, policies), acts=asked["delivery"] == "act")
        system = f"{prompt.text}\n\n{asked['instructions']}".rstrip()
        said = conversation.ask_model(models, system, state["entries"], tools)
        if not said["calls"]:
            said["text"] = ctx.with_notice(said["text"])
            ctx.delta(said["text"])
        return {
            "entries": [*state["entries"], said],
            "pending": said["calls"],
            "steps": steps + 1,
            "stopped": None if said["calls"] else "replied",
            "model": resolved.price_model,
            "prompts": {"agent": prompt.digest},
        }

    def _act(self, state: RunState, ctx: JobContext) -> Mapping[str, Any]:
        """Make the next call that the model requested."""
        asked, pending = state["asked"], state["pending"]
        wanted, number = pending[0], len(state["entries"])
        belt = Belt(
            ctx,
            self._box(ctx, state),
            self._policies(ctx, asked),
            own=conversation.own_words(state["entries"]),
            acts=asked["delivery"] == "act",
            undone=state["undone"],
            timeout_seconds=asked["approval_timeout_seconds"],
        )
        call = f"{number}-{wanted['name'][:60]}"
        came = belt.carry_out(wanted["name"], wanted["arguments"], call)
        entry = conversation.answered(wanted["id"], came.text, is_error=came.is_error)
        update: dict[str, Any] = {"entries": [*state["entries"], entry], "pending": pending[1:]}
        if came.outcome is not None:
            outcome = came.outcome
            update["calls"] = [*state["calls"], outcome.plain()]
            if came.words is not None:
                update["words"] = {**state["words"], outcome.call: came.words}
            if outcome.call.startswith("undo-") and outcome.status == "done":
                update["undone"] = [*state["undone"], outcome.call.removeprefix("undo-")]
        return update

    def _listen(self, state: RunState, ctx: JobContext) -> Mapping[str, Any]:
        """Wait for the user's next message."""
        answer = ctx.ask(
            f"turn-{len(state['entries'])}",
            state["entries"][-1]["text"],
            NextMessage,
            timeout_seconds=state["asked"]["approval_timeout_seconds"],
        )
        if answer.timed_out or answer.value is None:
            return {"stopped": "silent"}
        if not answer.value["message"]:
            return {"stopped": "ended"}
        return {"entries": [*state["entries"], conversation.user(answer.value["message"])], "stopped": None}

    def _policies(self, ctx: JobContext, asked: Mapping[str, Any]) -> list[ToolPolicy]:
        wanted, policies = asked["operations"], self._tools.policies
        found = [policy for policy in policies if policies.find(policy.operation, ctx.project_id) is not None]
        chosen = [policy for policy in found if wanted is None or policy.operation in wanted]
        missing = set(wanted or ()) - {policy.operation for policy in chosen}
        if missing:
            raise CapabilityFailure(f"no tool is attached for {min(missing)[:60]}", code="tool_unknown")
        return chosen

    def _offered(self, ctx: JobContext, policies: list[ToolPolicy]) -> dict[str, Mapping[str, OfferedTool]]:
        servers = {policy.server.name: policy for policy in policies}
        return {
            name: Exchange(ctx, self._tools.client, policy, {}).listed() for name, policy in sorted(servers.items())
        }

    def _box(self, ctx: JobContext, state: RunState) -> ToolBox:
        policy = self._models.for_job(ctx).policy
        tracker = TaintTracker(is_on=policy.untrusted.effects)
        tracker.vouch(state["asked"]["instructions"])
        for entry in state["entries"]:
            if entry["role"] == "user":
                tracker.vouch(conversation.own_words([entry]))
        return ToolBox(
            ctx,
            self._tools.policies,
            self._tools.client,
            "act",
            state["calls"],
            tracker=tracker,
            links=AllowedLinks.of(policy.link_hosts) if policy.untrusted.links else None,
            rules=state["asked"]["instructions"],
        )


def _after_thinking(state: RunState) -> str:
    if state["pending"] and state["stopped"] is None:
        return "act"
    return "listen" if state["asked"]["converse"] and state["stopped"] == "replied" else END


def _after_acting(state: RunState) -> str:
    return "act" if state["pending"] else "think"


def _after_listening(state: RunState) -> str:
    return "think" if state["stopped"] is None else END


def _begin(asked: RunInput) -> Mapping[str, Any]:
    said = [
        conversation.user(each.text) if each.author == "user" else conversation.agent(each.text)
        for each in asked.thread
    ]
    return {
        "asked": asked.model_dump(mode="json"),
        "entries": [*said, conversation.user(asked.message)],
        "pending": [],
        "calls": [],
        "words": {},
        "undone": [],
        "steps": 0,
        "stopped": None,
    }


def _finish(state: Mapping[str, Any]) -> RunOutput:
    spoken = [entry for entry in state["entries"] if entry["role"] in {"user", "agent"} and entry["text"]]
    shown = ("operation", "tool", "server", "effect", "status", "amount", "currency", "approved_by", "code", "result")
    actions = [
        {
            **{name: call[name] for name in shown},
            "requested_with": state["words"].get(call["call"]),
            **({"status": "compensated"} if call["call"] in state["undone"] else {}),
        }
        for call in state["calls"]
        if call["effect"] != Effect.READ.value
    ]
    return RunOutput.model_validate(
        {
            "reply": next((entry["text"] for entry in reversed(spoken) if entry["role"] == "agent"), ""),
            "conversation": [{"author": entry["role"], "text": entry["text"]} for entry in spoken],
            "actions": actions,
            "steps": state["steps"],
            "stopped": state["stopped"],
            "model": state["model"],
            "prompts": state["prompts"],
        }
    )


def make_runner(models: Models, tools: Tools) -> GraphRunner[RunInput, RunOutput]:
    """The capability over the given models and tools."""
    return GraphRunner(Agent(models, tools).graph(), begin=_begin, finish=_finish)


def build() -> GraphRunner[RunInput, RunOutput]:
    """The entry point named by the manifest."""
    return make_runner(get_gateway(), get_tools())
