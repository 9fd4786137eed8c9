"""A job's state as seen by a person, built from its events one by one."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from waybill.client.models import Event

_STATE_OF = {"job.queued": "queued", "job.started": "running", "job.retrying": "queued", "job.waiting": "waiting"}


@dataclass(slots=True)
class Step:
    """A named unit of work of one attempt, or several in a row of the same name, whose durations are added up.

    `ended_at` is None while it runs, or when the attempt broke off.
    """

    name: str
    attempt: int
    started_at: datetime | None = None
    ended_at: datetime | None = None
    duration_ms: float | None = None
    times: int = 1

    @property
    def label(self) -> str:
        """The name, and how often it ran in a row."""
        return self.name if self.times == 1 else f"{self.name} x{self.times}"


@dataclass(slots=True)
class JobView:
    """What is known about a job so far."""

    state: str = "queued"
    attempt: int = 0
    steps: list[Step] = field(default_factory=list)
    text: str = ""
    done: int = 0
    total: int = 0
    message: str = ""
    notices: list[str] = field(default_factory=list)
    events: int = 0

    def fold(self, event: Event) -> None:
        """Apply the next event. A new attempt resets text and progress."""
        self.events += 1
        data = event.data
        match event.type:
            case "job.started":
                self.attempt = event.attempt
                self.text, self.done, self.total, self.message = "", 0, 0, ""
            case "step.started":
                self._start(event)
            case "step.finished":
                self._finish(event)
            case "message.delta":
                self.text += str(data.get("text", ""))
            case "progress.updated":
                self.done, self.total = int(data.get("done", 0)), int(data.get("total", 0))
                self.message = str(data.get("message", ""))
            case "document.failed":
                self.notices.append(notice(data))
            case _:
                pass
        if event.is_final:
            self.state = event.type.partition(".")[2]
        else:
            self.state = _STATE_OF.get(event.type, self.state)

    def _start(self, event: Event) -> None:
        name = str(event.data.get("step", "?"))
        last = self.steps[-1] if self.steps else None
        if last is not None and (last.name, last.attempt) == (name, event.attempt) and last.ended_at is not None:
            # A graph that loops over a node shows one line with a count, not one per iteration.
            last.times += 1
            last.ended_at = None
        else:
            self.steps.append(Step(name, event.attempt, event.created_at))

    def _finish(self, event: Event) -> None:
        name = str(event.data.get("step", "?"))
        for step in reversed(self.steps):
            if step.name == name and step.ended_at is None:
                step.ended_at = event.created_at
                duration = event.data.get("duration_ms")
                if isinstance(duration, int | float):
                    step.duration_ms = (step.duration_ms or 0.0) + float(duration)
                return


def notice(data: dict[str, Any]) -> str:
    """The outcome of a document, in one line."""
    name = data.get("name") or data.get("document") or "a document"
    reason = data.get("message") or data.get("code")
    if reason:
        return f"{name}: {reason}"
    counts = [f"{data[each]} {each}" for each in ("pages", "chunks", "embedded") if data.get(each) is not None]
    return f"{name}  {', '.join(counts)}".rstrip()
