"""``/console/jobs/{job_id}/diff``: a job beside another run of its capability, and what differs."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from difflib import SequenceMatcher
from typing import Annotated, Any
from uuid import UUID

from fastapi import Query, Request, Response

from api.answers import parse_id
from api.console import formats
from api.console.jobs.one import JobId
from api.console.rendering import gettext as _
from api.console.rendering import render
from api.console.routing import new_router, requires
from api.console.work import read
from api.deps import Runtime
from core.jobs.records import JobFilter, JobRecord
from core.jobs.service import listed
from core.keys.clearance import is_cleared
from core.keys.principal import Principal
from core.kit.db import SingleStatement
from core.kit.ids import JOB, encode
from core.kit.json_values import pretty
from core.ledger.records import Entry
from core.ledger.service import entries_of

router = new_router("/jobs")

_OTHERS = 20
# Comparing takes the product of both lengths at worst. What is longer is compared up to here, and the page says so.
LINES_MAX = 300
_SHOWN_MAX = 1000
_AROUND = 3


@dataclass(frozen=True, slots=True)
class Run:
    """One of the two. Its input and result are None without clearance, or after their retention period."""

    job: JobRecord
    is_cleared: bool
    given: dict[str, Any] | None
    result: dict[str, Any] | None
    entries: Sequence[Entry]

    def facts(self) -> dict[str, str]:
        """What is compared at a glance, as the page shows it."""
        job, ended = self.job, self.job.finished_at
        took = formats.duration(ended - job.started_at) if ended and job.started_at else ""
        waited = formats.duration(max(job.started_at - job.created_at, timedelta(0))) if job.started_at else ""
        models = sorted({f"{each.provider}/{each.model} {each.model_version or ''}".strip() for each in self.entries})
        return {
            _("State"): job.state,
            _("Reason"): job.reason or "",
            _("Error"): (job.error or {}).get("message") or "",
            _("Submitted"): formats.absolute(job.created_at),
            _("Waited"): waited,
            _("Ran for"): took,
            _("Attempts"): str(job.attempts_spent),
            _("Cost"): formats.usd(job.cost_usd if job.is_priced or job.cost_usd else None),
            _("Models"): ", ".join(models) or _("none"),
            _("Data class"): job.data_class,
            _("Labels"): ", ".join(f"{name}={value}" for name, value in sorted(job.metadata.items())) or "",
        }


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a difference: ``-`` is only in the first, ``+`` only in the second; ``…`` stands for equal lines."""

    sign: str
    text: str


@dataclass(frozen=True, slots=True)
class Difference:
    """Two values as JSON, line by line. No lines: they are equal."""

    lines: Sequence[Line]
    is_cut: bool


@router.get("/{job_id}/diff")
@requires("jobs:read")
async def diff(
    request: Request,
    job_id: JobId,
    other: Annotated[str, Query(alias="with", max_length=100, description="The other job; none offers some.")] = "",
) -> Response:
    """What differs between two jobs; without the other, the jobs of the same capability to choose from."""
    found = parse_id(JOB, job_id, "job")
    other_id = parse_id(JOB, other.strip(), "job") if other.strip() else None

    def find(runtime: Runtime, session: SingleStatement, principal: Principal) -> dict[str, Any]:
        first = _see(runtime, session, principal, found)
        if other_id is None:
            where = JobFilter(capability=first.job.capability)
            near = runtime.jobs.list(session, principal, where, cursor=None, limit=_OTHERS + 1)
            return {"first": first, "second": None, "others": [each for each in near if each.id != found][:_OTHERS]}
        second = _see(runtime, session, principal, other_id)
        return {
            "first": first,
            "second": second,
            "given": difference(first.given, second.given),
            "result": difference(first.result, second.result),
        }

    values = await read(request, find)
    second: Run | None = values["second"]
    return render(
        request,
        "jobs/diff.html",
        id=job_id,
        other_id="" if second is None else encode(JOB, second.job.id),
        lines_max=LINES_MAX,
        **values,
    )


def difference(first: Any, second: Any) -> Difference:
    """How `first` becomes `second`, with three equal lines around each change."""
    before, after = _lines(first), _lines(second)
    is_cut = max(len(before), len(after)) > LINES_MAX
    before, after = before[:LINES_MAX], after[:LINES_MAX]
    matcher = SequenceMatcher(None, before, after, autojunk=False)
    return Difference(list(_changes(matcher, before, after)), is_cut)


def _lines(value: Any) -> list[str]:
    """The value as indented JSON, with the line breaks of its texts as line breaks."""
    return [] if value is None else pretty(value).replace("\\n", "\\n\n").split("\n")


def _changes(matcher: SequenceMatcher[str], before: Sequence[str], after: Sequence[str]) -> Iterator[Line]:
    for group in matcher.get_grouped_opcodes(_AROUND):
        if group[0][1] > 0:
            yield Line("…", "")
        for kind, start, end, new_start, new_end in group:
            if kind == "equal":
                yield from (_line(" ", each) for each in before[start:end])
                continue
            yield from (_line("-", each) for each in before[start:end])
            yield from (_line("+", each) for each in after[new_start:new_end])


def _line(sign: str, whole: str) -> Line:
    return Line(sign, whole if len(whole) <= _SHOWN_MAX else f"{whole[:_SHOWN_MAX]}…")


def _see(runtime: Runtime, session: SingleStatement, principal: Principal, job_id: UUID) -> Run:
    job = runtime.jobs.get(session, principal, job_id)
    cleared = is_cleared(principal, job.data_class)
    given = result = None
    if cleared:
        job, given, result = runtime.jobs.get_with_payloads(session, principal, job_id)
    return Run(listed(principal, job), cleared, given, result, entries_of(session, principal, job_id))
