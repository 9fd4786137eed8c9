"""A job as its events tell it: folded one by one into what a person wants to see."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from waybill.client.models import Event

_STATE_OF = {"job.queued": "queued", "job.started": "running", "job.retrying": "queued", "job.waiting": "waiting"}


@dataclass(slots=True)
class Step:
    """A named unit of work of one attempt; `ended_at` is None while it runs, or when the attempt broke off."""

    name: str
    attempt: int
    started_at: datetime | None = None
    ended_at: datetime | None = None
    duration_ms: float | None = None


@dataclass(slots=True)
class JobView:
    """What is known of a job so far."""

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
        """Take in the next event. A new attempt starts its text and progress afresh."""
        self.events += 1
        data = event.data
        match event.type:
            case "job.started":
                self.attempt = event.attempt
                self.text, self.done, self.total, self.message = "", 0, 0, ""
            case "step.started":
                self.steps.append(Step(str(data.get("step", "?")), event.attempt, event.created_at))
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

    def _finish(self, event: Event) -> None:
        name = str(event.data.get("step", "?"))
        for step in reversed(self.steps):
            if step.name == name and step.ended_at is None and step.duration_ms is None:
                step.ended_at = event.created_at
                duration = event.data.get("duration_ms")
                step.duration_ms = float(duration) if isinstance(duration, int | float) else None
                return


def notice(data: dict[str, Any]) -> str:
    """A document that could not be read, in one line."""
    name = data.get("name") or data.get("document") or data.get("document_id") or "a document"
    reason = data.get("message") or data.get("reason") or data.get("code") or "unreadable"
    return f"{name}: {reason}"
