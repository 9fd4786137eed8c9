"""A job's timeline: where it waited and where it worked, in milliseconds."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from waybill.cli.view import JobView
from waybill.client.models import JobRecord

if TYPE_CHECKING:
    from rich.text import Text

_TOTAL = "total"
_STYLES = {"wait": "yellow", "run": "green", "step": "cyan"}


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of a job's life: from `start_ms` to `end_ms` after its creation. `kind` is wait, run or step."""

    label: str
    start_ms: float
    end_ms: float
    kind: str

    @property
    def duration_ms(self) -> float:
        """How long it took."""
        return self.end_ms - self.start_ms


def spans(job: JobRecord, view: JobView) -> list[Span]:
    """The spans of an ended job: the queue, the way to a worker, the last attempt, and every step seen."""

    def at(moment: datetime) -> float:
        return max(0.0, (moment - job.created_at).total_seconds() * 1000)

    found: list[Span] = []
    finished = job.finished_at
    began = job.started_at
    left_queue = job.dispatched_at or began or finished
    if left_queue is not None:
        found.append(Span("queued", 0.0, at(left_queue), "wait"))
    if job.dispatched_at is not None and began is not None:
        found.append(Span("dispatched", at(job.dispatched_at), at(began), "wait"))
    if began is not None and finished is not None:
        found.append(Span(f"running (attempt {job.attempt})", at(began), at(finished), "run"))
    for step in view.steps:
        if step.started_at is None:
            continue
        start = at(step.started_at)
        if step.ended_at is None:
            continue
        # A duration is exact; the difference of two events includes the time it took to persist them.
        is_single = step.duration_ms is not None and step.times == 1
        end = start + (step.duration_ms or 0.0) if is_single else at(step.ended_at)
        found.append(Span(f"  {step.label}", start, end, "step"))
    return found


def draw(drawn: Sequence[Span], columns: int = 40) -> "list[Text]":
    """One line per span: its label, a bar to scale over `columns` characters, and its milliseconds."""
    from rich.text import Text

    if not drawn:
        return []
    whole = max(1e-9, *(span.end_ms for span in drawn))
    margin = max(len(_TOTAL), *(len(span.label) for span in drawn))
    lines: list[Text] = []
    for span in drawn:
        left = min(int(span.start_ms / whole * columns), columns - 1)
        width = max(1, min(round(span.duration_ms / whole * columns), columns - left))
        bar = " " * left + ("░" if span.kind == "wait" else "█") * width
        line = Text.assemble(
            (span.label.ljust(margin), "bold" if span.kind != "step" else ""),
            "  ",
            (bar.ljust(columns), _STYLES[span.kind]),
            f" {format_ms(span.duration_ms):>9}",
        )
        lines.append(line)
    lines.append(Text.assemble(_TOTAL.ljust(margin), "  ", " " * columns, f" {format_ms(whole):>9}", style="dim"))
    return lines


def format_ms(milliseconds: float) -> str:
    """``0.4 ms``, ``35 ms``, ``1,240 ms``: with up to three significant digits."""
    return f"{milliseconds:.1f} ms" if milliseconds < 10 else f"{milliseconds:,.0f} ms"  # noqa: PLR2004
