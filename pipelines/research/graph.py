"""``research.report`` as a graph. LangGraph plans, searches, checks and publishes; CrewAI's agents draft.

scout → plan → search (→ web) → researcher, once a sub-question → analyst → writer, once a section → reviewer
→ check (→ judge) → settle, which goes back to the writer or on to publish.
"""

from collections.abc import Callable, Mapping
from typing import Any

from langgraph.graph import END, START

from core.capability import JobContext
from core.gateway.models import Ability
from core.gateway.routing import CHAT, EMBEDDING
from core.kit.settings import get_settings
from pipelines._kit.graph import Graph, GraphRunner, add_step, new_graph
from pipelines._kit.resources import get_gateway
from pipelines.research.crew.roles import ANALYST, RESEARCHER, REVIEWER, WRITER
from pipelines.research.critique.steps import Critic
from pipelines.research.drafting import Drafting, Models, readings
from pipelines.research.planning.by_model import plan_by_model
from pipelines.research.planning.facets import find_facets
from pipelines.research.planning.wording import divide
from pipelines.research.prompting import Prompts
from pipelines.research.publishing import Publishing
from pipelines.research.repository import Figures, read_figures
from pipelines.research.schemas import ReportInput, ReportOutput
from pipelines.research.searches import Searches
from pipelines.research.state import ResearchState
from pipelines.research.web.choosing import open_web_search
from pipelines.research.web.search import WebSearch


class Planning:
    """The step that divides the question. Safe in threads."""

    def __init__(self, models: Models) -> None:
        self._models = models

    def plan(self, state: ResearchState, ctx: JobContext) -> Mapping[str, Any]:
        """By the model if it can fill in a schema; else by the question's form and the topics of the passages found."""
        models = self._models.for_job(ctx)
        bound = models.resolve(CHAT)
        judges = {Ability.WRITES, Ability.JSON_SCHEMA} <= set(bound.abilities)
        question, most = state["question"], state["sub_questions"]
        prompts = Prompts(models)
        parts = plan_by_model(models, prompts, question, state["scouted"], most) if judges else None
        if parts is None:
            parts = divide(question, most)
            if len(parts) == 1:
                parts += find_facets(question, state["scouted"], models, EMBEDDING, most - 1)
        ctx.emit("research.planned", {"sub_questions": [part["question"] for part in parts]})
        return {
            "plan": parts,
            "writes": Ability.WRITES in bound.abilities,
            "judges": judges,
            "model": bound.price_model,
            "prompts": prompts.digests,
        }


def make_runner(
    models: Models, web: WebSearch | None, figures: Callable[[JobContext], Figures] = read_figures
) -> GraphRunner[ReportInput, ReportOutput]:
    """The capability over the given models and web search service; `figures` reads a job's cost."""
    searches, planning, drafting = Searches(web), Planning(models), Drafting(models)
    critic, publishing = Critic(models), Publishing(figures)
    graph = new_graph(ResearchState)
    for name, function in (
        ("scout", searches.scout),
        ("plan", planning.plan),
        ("search", searches.search),
        ("web", searches.search_web),
        ("check", critic.check),
        ("judge", critic.judge),
        ("settle", critic.settle),
        ("publish", publishing.publish),
    ):
        add_step(graph, name, function, step=f"langgraph:{name}")
    for role, function in (
        (RESEARCHER, drafting.research),
        (ANALYST, drafting.analyse),
        (WRITER, drafting.write),
        (REVIEWER, drafting.review),
    ):
        add_step(graph, role.name, function, step=role.step)
    _connect(graph)
    return GraphRunner(graph, begin=_begin, finish=_finish)


def _connect(graph: Graph) -> None:
    researcher, analyst, writer, reviewer = (role.name for role in (RESEARCHER, ANALYST, WRITER, REVIEWER))
    graph.add_edge(START, "scout")
    graph.add_edge("scout", "plan")
    graph.add_edge("plan", "search")
    graph.add_conditional_edges(
        "search", lambda state: "web" if state["web"] else _to_read(state), ["web", researcher, analyst]
    )
    graph.add_conditional_edges("web", _to_read, [researcher, analyst])
    graph.add_conditional_edges(researcher, _to_read, [researcher, analyst])
    graph.add_conditional_edges(analyst, lambda state: writer if state["to_write"] else "check", [writer, "check"])
    graph.add_conditional_edges(writer, _after_writing, [writer, reviewer, "check"])
    graph.add_edge(reviewer, "check")
    graph.add_conditional_edges(
        "check",
        lambda state: "judge" if any(verdict["open"] for verdict in state["verdicts"]) else "settle",
        ["judge", "settle"],
    )
    graph.add_edge("judge", "settle")
    graph.add_conditional_edges("settle", lambda state: writer if state["to_write"] else "publish", [writer, "publish"])
    graph.add_edge("publish", END)


def _to_read(state: ResearchState) -> str:
    return RESEARCHER.name if state["researched"] < len(readings(state)) else ANALYST.name


def _after_writing(state: ResearchState) -> str:
    if state["to_write"]:
        return WRITER.name
    return "check" if state["reviewed"] else REVIEWER.name


def _begin(asked: ReportInput) -> Mapping[str, Any]:
    return {
        **asked.model_dump(mode="json"),
        "notes": [],
        "researched": 0,
        "objections": {},
        "review": {},
        "reviewed": False,
        "round": 0,
        "verdicts": [],
        "removed": [],
    }


def _finish(state: Mapping[str, Any]) -> ReportOutput:
    return ReportOutput.model_validate(state["output"])


def build() -> GraphRunner[ReportInput, ReportOutput]:
    """The entry point named by the manifest."""
    return make_runner(get_gateway(), open_web_search(get_settings()))
