"""A strong model for research jobs, scripted: answers each agent of the crew, the planner and the judge by its part."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.factories.provider_simulator import Answer, Recorded, Script

PLAN = ("What does extended cover cost?", "How are damaged parcels claimed?")
QUOTES = (
    "Extended cover costs 1.2 % of the declared value, with a minimum of EUR 3.00 per shipment.",
    "A claim for a damaged parcel must be filed within 14 calendar days of delivery.",
)
DRAFTS = (
    "For extended cover one pays 1.2 % of the declared value and at least EUR 3.00 [1].",
    "A damaged parcel must be claimed within 14 calendar days of its delivery [2].",
)
_SOURCE = re.compile(r'<source number="(\d+)"[^>]*>\n(.*?)\n</source>', re.DOTALL)
# What the gateway puts on text from outside, which a model reads past.
_MARKS = re.compile(r"^(?:[0-9a-f]{8}\| |<<(?:data|end) [0-9a-f]{8}>>\n)", re.MULTILINE)
_ROLES = ("Researcher", "Analyst", "Writer", "Reviewer")


@dataclass
class Author:
    """A late script for the simulator. `parts` is who was asked, in order; `material` is what the last one read.

    `drafts` are what the writer answers, one after the other; the last one stays. `verdicts` decides of each claim's
    text whether the judge finds it supported. `before` runs ahead of every answer with the part that is asked.
    """

    plan: Sequence[str] = PLAN
    quotes: Sequence[str] = QUOTES
    order: str = "NONE"
    drafts: Sequence[str] = DRAFTS
    review: str = "NONE"
    verdicts: Callable[[str], bool] = lambda _text: True
    raw: Mapping[str, Script] = field(default_factory=dict)
    before: Callable[[str], None] | None = None
    parts: list[str] = field(default_factory=list)
    material: dict[str, str] = field(default_factory=dict)

    def __call__(self, recorded: Recorded) -> Script:
        body = recorded.body
        part, text = self._part(body), _text_of(body)
        self.parts.append(part)
        self.material[part] = text
        if self.before is not None:
            self.before(part)
        return self.raw.get(part) or getattr(self, f"_as_{part.lower()}")(text)

    def _part(self, body: Mapping[str, Any]) -> str:
        schema = (body.get("response_format") or {}).get("json_schema")
        if schema:
            return {"plan": "Planner", "verdicts": "Judge"}[schema["name"]]
        system = " ".join(str(each["content"]) for each in body["messages"] if each["role"] == "system")
        return next(role for role in _ROLES if f"You are {role}" in system)

    def _as_planner(self, _text: str) -> Script:
        return Answer.of_json({"sub_questions": list(self.plan)})

    def _as_researcher(self, text: str) -> Script:
        # The quotes are beside the plan; of a question that is not in it all are taken.
        asked = [quote for part, quote in zip(self.plan, self.quotes, strict=False) if f"Sub-question: {part}" in text]
        lines = [
            f'[{number}] "{quote}"'
            for number, source in _SOURCE.findall(text)
            for quote in asked or self.quotes
            if quote in source
        ]
        return Answer("\n".join(lines) or "NONE")

    def _as_analyst(self, _text: str) -> Script:
        return Answer(self.order)

    def _as_writer(self, _text: str) -> Script:
        written = self.parts.count("Writer") - 1
        return Answer(self.drafts[min(written, len(self.drafts) - 1)])

    def _as_reviewer(self, _text: str) -> Script:
        return Answer(self.review)

    def _as_judge(self, text: str) -> Script:
        claims = [json.loads(line) for line in text.splitlines() if line.startswith('{"claim"')]
        verdicts = [
            {"claim": each["claim"], "supported": said, "reason": "" if said else "the source does not say it"}
            for each in claims
            for said in (self.verdicts(each["text"]),)
        ]
        return Answer.of_json({"verdicts": verdicts})


def _text_of(body: Mapping[str, Any]) -> str:
    content = body["messages"][-1]["content"]
    text = content if isinstance(content, str) else "".join(part.get("text", "") for part in content)
    return _MARKS.sub("", text)
