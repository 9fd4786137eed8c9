"""What happened to a job, as bars on one axis: waiting, attempts, their steps and model calls, and child jobs."""

from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from core.jobs.records import Event, JobRecord
from core.jobs.suspension.records import Node
from core.kit.money import format_cost
from core.ledger.records import Entry

# Of an axis: the unit in which bars are drawn, and the least that is still seen.
AXIS = 1000
_SEEN = 3
BARS_MAX = 200
_WAITS = {"job.queued": "queued", "job.waiting": "waiting"}


@dataclass(frozen=True, slots=True)
class Bar:
    """A stretch of time. `kind` is wait, run, step, call or child; `ends` is None while it lasts."""

    kind: str
    label: str
    begins: datetime
    ends: datetime | None
    note: str = ""
    job_id: UUID | None = None
    depth: int = 0

    def length(self, now: datetime) -> timedelta:
        """How long it took, or has taken so far."""
        return max(timedelta(0), (self.ends or now) - self.begins)

    def place(self, start: datetime, end: datetime, now: datetime) -> tuple[int, int]:
        """Where it starts on the axis from `start` to `end`, and how long it is there."""
        whole = max((end - start).total_seconds(), 1e-6)
        at = min(AXIS - _SEEN, max(0, round((self.begins - start).total_seconds() / whole * AXIS)))
        width = round(self.length(now).total_seconds() / whole * AXIS)
        return at, max(_SEEN, min(width, AXIS - at))


def bars(job: JobRecord, events: Sequence[Event], entries: Sequence[Entry], tree: Sequence[Node]) -> list[Bar]:
    """The bars in the order in which they began, at most `BARS_MAX`."""
    found = [*_phases(job, events), *_steps(job, events), *_calls(job, entries), *_children(tree)]
    order = {"wait": 0, "run": 0, "step": 1, "call": 2, "child": 2}
    return sorted(found, key=lambda bar: (bar.begins, order[bar.kind]))[:BARS_MAX]


def _phases(job: JobRecord, events: Sequence[Event]) -> Iterator[Bar]:
    """Waiting and working, each until the next event of the job itself."""
    own = [each for each in events if each.type.startswith("job.") and each.type != "job.classified"]
    for place, each in enumerate(own):
        ends = own[place + 1].created_at if place + 1 < len(own) else job.finished_at
        reason = str(each.data.get("reason") or "")
        if each.type == "job.started":
            yield Bar("run", f"attempt {each.attempt}", each.created_at, ends)
        elif each.type in _WAITS:
            yield Bar("wait", _WAITS[each.type], each.created_at, ends, reason)


def _steps(job: JobRecord, events: Sequence[Event]) -> Iterator[Bar]:
    ends_of_attempts = {each.attempt: each.created_at for each in events if each.type.startswith("job.")}
    finished: dict[tuple[int, Any], deque[Event]] = defaultdict(deque)
    for each in events:
        if each.type == "step.finished":
            finished[each.attempt, each.data.get("step")].append(each)
    for each in events:
        if each.type == "step.started":
            waiting = finished[each.attempt, each.data.get("step")]
            broke_off = job.is_terminal or each.attempt < job.attempt
            ends = ends_of_attempts.get(each.attempt) if broke_off else None
            if waiting:
                ends = waiting.popleft().created_at
            yield Bar("step", str(each.data.get("step", "?")), each.created_at, ends, depth=1)


def _calls(job: JobRecord, entries: Sequence[Entry]) -> Iterator[Bar]:
    """Model calls, from the reservation of their cost to its settlement."""
    calls: dict[tuple[int, int], list[Entry]] = defaultdict(list)
    for entry in entries:
        calls[entry.attempt, entry.call].append(entry)
    for lines in calls.values():
        first, last = lines[0], lines[-1]
        settled = last.recorded_at if len(lines) > 1 else job.finished_at
        cost = format_cost(sum((line.amount_usd for line in lines), start=first.amount_usd * 0), priced=last.is_priced)
        note = "not priced" if cost is None else f"{cost} USD"
        yield Bar("call", f"{first.provider}/{first.model}", first.recorded_at, settled, note, depth=2)


def _children(tree: Iterable[Node]) -> Iterator[Bar]:
    for node in tree:
        if node.depth:
            label = node.capability if node.key is None else f"{node.capability} ({node.key})"
            begins = node.started_at or node.created_at
            yield Bar("child", label, begins, node.finished_at, str(node.state), node.id, node.depth)
