"""A research job in memory over a real knowledge base: its child searches run at once, in the same process."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from core.capability import ChildCall, ChildOutcome, JobContext, JobSuspended
from core.gateway.service import Gateway
from core.kit.ids import new_id
from pipelines._kit.graph import GraphRunner
from pipelines.research.repository import Figures
from pipelines.research.schemas import ReportInput, ReportOutput
from pipelines.research.web.search import WebSearch
from tests.factories.context import RecordingContext
from tests.factories.knowledge import Library

FIGURES = Figures(Decimal("0.012"), True, 12.5, datetime(2026, 11, 23, 12, 0, tzinfo=UTC))
Answering = Callable[[ChildCall], ChildOutcome]


def fixed_figures(_ctx: JobContext) -> Figures:
    """What a job in memory, which has no row, is said to have cost."""
    return FIGURES


def outcome_of(call: ChildCall, result: Mapping[str, Any] | None, state: str = "succeeded") -> ChildOutcome:
    """How a child ended."""
    error = None if state == "succeeded" else {"code": state, "message": "it did not succeed"}
    return ChildOutcome(call.key, new_id(), state, result, error, Decimal(0))


def searching(library: Library) -> Answering:
    """Children that search the library."""

    def answer(call: ChildCall) -> ChildOutcome:
        asked = call.payload
        found = library.ask(asked["query"], mode=asked["mode"], limit=asked["limit"])
        return outcome_of(call, found.model_dump(mode="json"))

    return answer


@dataclass
class Research:
    """Runs reports; `attempts` are the contexts of the last one, oldest first. `check` runs at every check of them."""

    gateway: Gateway
    answer: Answering
    web: WebSearch | None = None
    check: Callable[[], None] | None = None
    attempts: list[RecordingContext] = field(default_factory=list)

    def runner(self) -> GraphRunner[ReportInput, ReportOutput]:
        """The capability over these models."""
        from pipelines.research.graph import make_runner

        return make_runner(self.gateway, self.web, fixed_figures)

    def report(self, question: str, *bases: str, ctx: RecordingContext | None = None, **options: Any) -> ReportOutput:
        """Run a job to its end: whenever it waits for children, they run and the next attempt goes on."""
        payload = ReportInput(question=question, knowledge_bases=list(bases), **options)
        return self.go_on(payload, ctx or RecordingContext(capability="research.report"))

    def go_on(self, payload: ReportInput, ctx: RecordingContext) -> ReportOutput:
        """Run the attempt of `ctx`, and those that follow it while the job waits."""
        self.attempts = [ctx]
        runner = self.runner()
        while True:
            last = self.attempts[-1]
            last.on_check = self.check
            try:
                return runner.run(last, payload)
            except JobSuspended:
                for call in last.calls.values():
                    if call.key not in last.outcomes:
                        last.outcomes[call.key] = self.answer(call)
                self.attempts.append(last.next_attempt())

    @property
    def steps(self) -> list[str]:
        """The steps that finished, over all attempts."""
        return [step for ctx in self.attempts for step in ctx.steps()]

    def named(self, event: str) -> list[dict[str, Any]]:
        """The data of events called `event`, over all attempts."""
        return [data for ctx in self.attempts for data in ctx.named(event)]


PASSAGES = (
    (
        "cover.pdf",
        (
            "Extended cover costs 1.2 % of the declared value, with a minimum of EUR 3.00 per shipment. It must be"
            " booked before the label is printed. It is not offered for jewellery or cash."
        ),
    ),
    (
        "claims.pdf",
        (
            "A claim for a damaged parcel must be filed within 14 calendar days of delivery. The packaging must be"
            " kept, so that an inspector can see it. Compensation is never more than the proven cost of the goods."
        ),
    ),
    ("depot.txt", "The depot in Ghent opens at six. Its canteen serves soup on Tuesdays."),
)


def finding(passages: tuple[tuple[str, str], ...] = PASSAGES, *, failing: Mapping[str, str] | None = None) -> Answering:
    """Children that find these passages (name and text), whatever is asked; those in `failing` end in that state."""

    def answer(call: ChildCall) -> ChildOutcome:
        state = (failing or {}).get(call.key)
        if state is not None:
            return outcome_of(call, None, state)
        found = [
            {
                "id": f"psg_{number}",
                "document_id": f"doc_{number}",
                "document": name,
                "page": number,
                "section": f"{number}. Rules",
                "text": text,
            }
            for number, (name, text) in enumerate(passages, start=1)
        ]
        return outcome_of(call, {"passages": found[: call.payload["limit"]]})

    return answer
