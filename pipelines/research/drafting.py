"""The crew's steps: each is one task of one agent, carried out by CrewAI, and stored when it is done."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from core.capability import JobContext
from core.gateway.calls import JobModels
from core.guard.provenance import as_data
from pipelines.research.crew import extractive_agents
from pipelines.research.crew.formats import NOTHING, read_objections, read_order, read_quotes
from pipelines.research.crew.roles import ANALYST, RESEARCHER, REVIEWER, WRITER, Role
from pipelines.research.crew.team import ExtractiveAgent, carry_out
from pipelines.research.critique.claims import Block, read_draft, write_block
from pipelines.research.prompting import Prompts, show_sources
from pipelines.research.state import Objection, ResearchState

_READ_AT_ONCE = 3


class Models(Protocol):
    """The part of `core.gateway.service.Gateway` that is used here."""

    def for_job(self, ctx: JobContext) -> JobModels:
        """The models of one attempt."""


class Drafting:
    """The steps of the crew. Safe in threads."""

    def __init__(self, models: Models) -> None:
        self._models = models

    def research(self, state: ResearchState, ctx: JobContext) -> Mapping[str, Any]:
        """Take notes from the next reading."""
        planned = readings(state)
        part, allowed = planned[state["researched"]]
        done = state["researched"] + 1
        shown = [(number, state["sources"][number - 1]) for number in allowed]
        asked = state["plan"][part]
        material = f"Sub-question: {asked['question']}\n\n{show_sources(shown)}"
        models = self._models.for_job(ctx)
        text, digests = _work(
            RESEARCHER, state, models, material, lambda: extractive_agents.take_quotes(models, asked, shown)
        )
        found = read_quotes(text, part, state["sources"], allowed)
        plan = list(state["plan"])
        if not state["writes"]:
            sure = read_quotes(extractive_agents.answers(models, asked, shown), part, state["sources"], allowed)
            plan[part] = {**asked, "certain": bool(sure) or asked.get("certain", False)}
            found = [*sure, *(note for note in found if note not in sure)]
        _progress(ctx, state, done, f"finished reading {done} of {len(planned)}")
        return {"researched": done, "notes": [*state["notes"], *found], "plan": plan, "prompts": digests}

    def analyse(self, state: ResearchState, ctx: JobContext) -> Mapping[str, Any]:
        """Order the notes into sections."""
        plan, notes, sources = state["plan"], state["notes"], state["sources"]
        models = self._models.for_job(ctx)
        text, digests = "", state["prompts"]
        if notes:
            sections = "\n".join(f"{number}. {part['question']}" for number, part in enumerate(plan, start=1))
            lines = "\n".join(
                f"{number}. (section {note['part'] + 1}, source {note['source']}) {_quoted(state, number - 1)}"
                for number, note in enumerate(notes, start=1)
            )
            material = f"Question: {state['question']}\n\nSections:\n{sections}\n\n<notes>\n{as_data(lines)}\n</notes>"
            text, digests = _work(
                ANALYST, state, models, material, lambda: extractive_agents.arrange(models, plan, notes, sources)
            )
        order = read_order(text, notes, len(plan))
        ctx.emit("research.arranged", {"notes": len(notes), "used": sum(len(each) for each in order)})
        _progress(ctx, state, len(readings(state)) + 1, "arranged the evidence")
        to_write = [section for section in range(len(plan)) if order[section]]
        return {"order": order, "drafts": [""] * len(plan), "to_write": to_write, "prompts": digests}

    def write(self, state: ResearchState, ctx: JobContext) -> Mapping[str, Any]:
        """Write or correct the next section."""
        section, *rest = state["to_write"]
        order, objections = state["order"][section], state["objections"].get(str(section), [])
        draft = state["drafts"][section]
        notes = "\n".join(f"[{state['notes'][number]['source']}] {_quoted(state, number)}" for number in order)
        material = f"Sub-question: {state['plan'][section]['question']}\n\n<notes>\n{as_data(notes)}\n</notes>"
        if objections:
            listed = "\n".join(f"- {each['text']} ({each['reason']})" for each in objections)
            material += f"\n\n<draft>\n{as_data(draft)}\n</draft>\n\nObjections:\n{as_data(listed)}"
        text, digests = _work(
            WRITER,
            state,
            self._models.for_job(ctx),
            material,
            lambda: extractive_agents.set_section(order, state["notes"], state["sources"], objections),
        )
        drafts = list(state["drafts"])
        drafts[section] = "" if text.strip() == NOTHING else text
        written = sum(len(each) > 0 for each in drafts)
        ctx.emit("research.drafted", {"section": section + 1, "round": state["round"]})
        if not state["reviewed"]:
            _progress(ctx, state, len(readings(state)) + 1 + written, f"wrote section {section + 1}")
        return {"drafts": drafts, "to_write": rest, "prompts": digests}

    def review(self, state: ResearchState, ctx: JobContext) -> Mapping[str, Any]:
        """Review the whole draft; objections go back to the writer with the claims that the check refuses."""
        sections = [read_draft(draft) for draft in state["drafts"]]
        models = self._models.for_job(ctx)
        text, digests = "", state["prompts"]
        if any(sections):
            material = f"Question: {state['question']}\n\n<draft>\n{as_data(_numbered(state, sections))}\n</draft>"
            text, digests = _work(
                REVIEWER, state, models, material, lambda: extractive_agents.review(models, state["plan"], sections)
            )
        objections: dict[str, list[Objection]] = {}
        for (section, claim), reason in read_objections(text).items():
            claims = [each for block in sections[section] for each in block.claims] if section < len(sections) else []
            if claim < len(claims):
                objections.setdefault(str(section), []).append({"text": claims[claim].text, "reason": reason})
        ctx.emit("research.reviewed", {"objections": sum(len(each) for each in objections.values())})
        return {"review": objections, "reviewed": True, "prompts": digests}


def readings(state: ResearchState) -> list[tuple[int, list[int]]]:
    """The reading tasks of the researcher, one each: (part, numbers of sources).

    A model that writes reads all sources of a part at once. One that quotes gives few sentences an answer, so it reads
    a few sources at a time.
    """
    return [
        (part, numbers[start : start + size])
        for part, numbers in enumerate(state["candidates"])
        for size in (max(1, len(numbers)) if state["writes"] else _READ_AT_ONCE,)
        for start in range(0, len(numbers), size)
    ]


def steps_of(state: ResearchState) -> int:
    """The units of work that `JobContext.progress` counts: readings, sections, the order, the check, the files."""
    return len(readings(state)) + len(state["plan"]) + 3


def _work(
    role: Role, state: ResearchState, models: JobModels, material: str, extractive: ExtractiveAgent
) -> tuple[str, dict[str, str]]:
    """The agent's answer, and the digests of the prompts read so far."""
    if not state["writes"]:
        return carry_out(role, role.goal, material, models, extractive), state["prompts"]
    prompts = Prompts(models)
    text = carry_out(role, prompts.text(role.prompt), material, models, None)
    return text, {**state["prompts"], **prompts.digests}


def _quoted(state: ResearchState, note: int) -> str:
    quote = " ".join(extractive_agents.quote_of(state["notes"][note], state["sources"]).split())
    return f'"{quote}"'.replace("</notes", "< /notes")


def _numbered(state: ResearchState, sections: Sequence[Sequence[Block]]) -> str:
    lines = []
    for section, blocks in enumerate(sections):
        lines.append(f"{section + 1}. {state['plan'][section]['question']}")
        claims = [claim for block in blocks for claim in block.claims]
        lines += [
            f"{section + 1}.{number} {write_block(Block((claim,), is_item=False))}"
            for number, claim in enumerate(claims, start=1)
        ]
    return "\n".join(lines).replace("</draft", "< /draft")


def _progress(ctx: JobContext, state: ResearchState, done: int, message: str) -> None:
    ctx.progress(done, steps_of(state), message)
