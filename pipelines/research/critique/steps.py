"""The critic: checks the draft, sends back unsupported claims, and removes them when the rounds are used up."""

from collections.abc import Mapping
from typing import Any

from core.capability import JobContext
from core.gateway.routing import EMBEDDING
from pipelines.research.crew import extractive_agents
from pipelines.research.critique.checking import check_claims
from pipelines.research.critique.claims import Claim, read_draft
from pipelines.research.critique.judge import judge
from pipelines.research.drafting import Models, steps_of
from pipelines.research.prompting import Prompts
from pipelines.research.state import Objection, Removed, ResearchState, Verdict

_Known = dict[tuple[int, str, tuple[int, ...]], Verdict]


class Critic:
    """The steps of the critic. Safe in threads."""

    def __init__(self, models: Models) -> None:
        self._models = models

    def check(self, state: ResearchState, ctx: JobContext) -> Mapping[str, Any]:
        """Compare every claim with its sources. An earlier round's verdict on the same words stays valid."""
        claims = [(part, claim) for part, draft in enumerate(state["drafts"]) for claim in _claims(draft)]
        known = _known(state)
        fresh = [place for place in dict.fromkeys(claims) if _key(*place) not in known]
        texts = [source["text"] for source in state["sources"]]
        findings = check_claims([claim for _, claim in fresh], texts, self._models.for_job(ctx), EMBEDDING)
        for (part, claim), finding in zip(fresh, findings, strict=True):
            known[_key(part, claim)] = {
                "part": part,
                "text": claim.text,
                "cited": list(claim.cited),
                "support": finding.support,
                "reason": finding.reason,
                "open": finding.is_open and state["judges"],
            }
        return {"verdicts": [known[_key(*place)] for place in dict.fromkeys(claims)]}

    def judge(self, state: ResearchState, ctx: JobContext) -> Mapping[str, Any]:
        """Let the model decide the claims that the check left open. One call."""
        models = self._models.for_job(ctx)
        prompts = Prompts(models)
        left = [verdict for verdict in state["verdicts"] if verdict["open"]]
        claims = [Claim(verdict["text"], tuple(verdict["cited"])) for verdict in left]
        decided = iter(judge(models, prompts, claims, state["sources"]))
        verdicts: list[Verdict] = []
        for verdict in state["verdicts"]:
            if not verdict["open"]:
                verdicts.append(verdict)
                continue
            is_supported, reason = next(decided)
            support = "entailed" if is_supported else None
            verdicts.append({**verdict, "support": support, "reason": reason, "open": False})  # type: ignore[typeddict-item]
        return {"verdicts": verdicts, "prompts": {**state["prompts"], **prompts.digests}}

    def settle(self, state: ResearchState, ctx: JobContext) -> Mapping[str, Any]:
        """Send back claims that must change while there are rounds left; remove them when there are none."""
        objections = _objections(state)
        refused = sum(len(each) for each in objections.values())
        supported = sum(verdict["support"] is not None for verdict in state["verdicts"])
        goes_back = bool(objections) and state["round"] < state["rounds"]
        ctx.emit(
            "research.checked",
            {
                "round": state["round"],
                "claims": len(state["verdicts"]),
                "supported": supported,
                "objections": refused,
                "sent_back": goes_back,
            },
        )
        if goes_back:
            sections = sorted(int(section) for section in objections)
            return {"objections": objections, "to_write": sections, "round": state["round"] + 1}
        removed: list[Removed] = [
            {"part": int(section), **each} for section, listed in objections.items() for each in listed
        ]
        ctx.progress(steps_of(state) - 1, steps_of(state), "checked every claim against its source")
        drafts, quoted = _quoted_instead(state, objections)
        return {"removed": removed, "drafts": drafts, "verdicts": [*state["verdicts"], *quoted]}


def _known(state: ResearchState) -> _Known:
    return {
        (verdict["part"], verdict["text"], tuple(verdict["cited"])): verdict for verdict in state.get("verdicts", [])
    }


def _key(part: int, claim: Claim) -> tuple[int, str, tuple[int, ...]]:
    return part, claim.text, claim.cited


def _objections(state: ResearchState) -> dict[str, list[Objection]]:
    """The reviewer's objections that still stand, and claims that no source supports; each claim once."""
    found: dict[str, list[Objection]] = {}
    standing = {(verdict["part"], verdict["text"]) for verdict in state["verdicts"]}
    for section, listed in state["review"].items():
        kept = [each for each in listed if (int(section), each["text"]) in standing]
        if kept:
            found[section] = kept
    for verdict in state["verdicts"]:
        listed = found.setdefault(str(verdict["part"]), [])
        if verdict["support"] is None and all(each["text"] != verdict["text"] for each in listed):
            listed.append({"text": verdict["text"], "reason": verdict["reason"]})
    return {section: listed for section, listed in found.items() if listed}


def _quoted_instead(state: ResearchState, objections: Mapping[str, list[Objection]]) -> tuple[list[str], list[Verdict]]:
    """The drafts, with quotes in place of sections from which nothing is left; and their verdicts."""
    drafts = list(state["drafts"])
    verdicts: list[Verdict] = []
    for part, order in enumerate(state["order"]):
        listed = objections.get(str(part), [])
        refused = {each["text"] for each in listed}
        if any(claim.text not in refused for claim in _claims(drafts[part])):
            continue
        drafts[part] = extractive_agents.set_section(order, state["notes"], state["sources"], listed)
        verdicts += [
            {
                "part": part,
                "text": claim.text,
                "cited": list(claim.cited),
                "support": "quoted",
                "reason": "",
                "open": False,
            }
            for claim in _claims(drafts[part])
        ]
    return drafts, verdicts


def _claims(draft: str) -> list[Claim]:
    return [claim for block in read_draft(draft) for claim in block.claims]
