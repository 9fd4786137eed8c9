"""Aggregates the jobs and calls that ended since the last run. One periodic task that reads stored rows only."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime
from itertools import product
from uuid import UUID

from core.jobs import endings
from core.jobs.endings import Reader
from core.jobs.states import JobState
from core.kit.db import Database
from core.rollups import sources, writing
from core.rollups.records import ALL_PROJECTS, CallGroup, CallSums, EndedJob, Grain, JobSums, SettledCall
from core.rollups.sketch import SECONDS, USD

RETENTION_DAYS = 90
JOBS_AT_ONCE = 1000
# The outcomes that quotes are based on: a cancelled or refused job says little about the cost of the next one.
_QUOTED = frozenset({JobState.SUCCEEDED, JobState.FAILED})


def collect_once(database: Database, *, most: int = JOBS_AT_ONCE) -> int:
    """Add up the next ended jobs, calls that were settled late, and corrections; returns how many in total.

    One transaction: a kill between two steps adds nothing twice. Returns 0 while another process is adding up.
    """
    with database.system() as session:
        after = endings.take_cursor(session, Reader.ROLLUPS)
        if after is None:
            return 0
        ended = endings.ended_after(session, after, most)
        jobs = sources.read_jobs(session, [each.job_id for each in ended], RETENTION_DAYS)
        late = [job for job in jobs if job.open_calls]
        sources.put_off(session, late)
        closed = [job.id for job in jobs if not job.open_calls] + sources.take_closed(session, most)
        calls = sources.read_calls(session, closed, RETENTION_DAYS)
        corrections = sources.take_corrections(session, most)
        writing.add_jobs(session, sum_jobs(jobs))
        writing.add_calls(session, sum_calls([*calls, *corrections]))
        writing.add_costs(session, sum_costs(jobs))
        endings.move_cursor(session, Reader.ROLLUPS, ended[-1] if ended else None)
    return len(ended) + len(corrections)


def count_backlog(database: Database) -> None:
    """Count the jobs that have not ended, by project and capability, so that pages need not count them."""
    with database.system() as session:
        writing.count_backlog(session)


def maintain_partitions(database: Database) -> int:
    """Create the partitions of the next months and drop those past `RETENTION_DAYS`; returns how many."""
    with database.system() as session:
        return writing.maintain_partitions(session, RETENTION_DAYS)


def floor_to(grain: Grain, moment: datetime) -> datetime:
    """The start (UTC) of the bucket that contains `moment`."""
    moment = moment.astimezone(UTC).replace(second=0, microsecond=0)
    if grain is Grain.MINUTE:
        return moment
    return moment.replace(minute=0) if grain is Grain.HOUR else moment.replace(hour=0, minute=0)


JobKey = tuple[Grain, datetime, UUID, UUID, str, str]
CallKey = tuple[Grain, datetime, CallGroup]
CostKey = tuple[datetime, UUID, UUID, str, str, int]


def sum_jobs(jobs: Iterable[EndedJob]) -> dict[JobKey, JobSums]:
    """Sums by grain, bucket of the job's end, organization, project, capability and state, without shadow jobs.

    Each counts twice: for its project, and for `ALL_PROJECTS`.
    """
    sums: dict[JobKey, JobSums] = defaultdict(JobSums)
    for job in jobs:
        if job.is_shadow:
            continue
        for grain, project_id in product(Grain, (job.project_id, ALL_PROJECTS)):
            moment = floor_to(grain, job.finished_at)
            total = sums[grain, moment, job.organization_id, project_id, job.capability, job.state]
            total.jobs += 1
            total.failures += job.failures
            total.outages += job.outages
            total.cost_usd += job.cost_usd
            if job.waited is not None:
                total.wait[SECONDS.bucket_of(job.waited)] += 1
            # A quick failure is not a fast job.
            if job.ran is not None and job.state == JobState.SUCCEEDED:
                total.duration[SECONDS.bucket_of(job.ran)] += 1
    return sums


def sum_calls(calls: Iterable[SettledCall]) -> dict[CallKey, CallSums]:
    """Sums by grain, bucket of the settlement, and group; each counts twice, as in `sum_jobs`."""
    sums: dict[CallKey, CallSums] = defaultdict(CallSums)
    for call in calls:
        whole = replace(call.group, project_id=ALL_PROJECTS)
        for grain, group in product(Grain, (call.group, whole)):
            total = sums[grain, floor_to(grain, call.settled_at), group]
            total.amount_usd += call.amount_usd
            if call.is_correction:
                continue
            total.calls += 1
            total.estimated_calls += call.is_estimated
            total.lost_calls += call.is_lost
            total.unpriced_calls += call.is_unpriced
            total.quantities.update(call.quantities)
            # The duration of a lost call only measures how long it took to notice.
            if call.seconds is not None and not call.is_lost:
                total.duration[SECONDS.bucket_of(max(0.0, call.seconds))] += 1
    return sums


def sum_costs(jobs: Iterable[EndedJob]) -> dict[CostKey, dict[int, int]]:
    """Sketches of job costs, by day, organization, project, capability, model and input size.

    Only fully priced jobs count: an unknown cost is not a low one.
    """
    sums: dict[CostKey, dict[int, int]] = defaultdict(lambda: defaultdict(int))
    for job in jobs:
        if job.is_shadow or job.state not in _QUOTED or not job.is_priced or job.open_calls:
            continue
        day = floor_to(Grain.DAY, job.finished_at)
        band = size_band(job.size_bytes)
        key = (day, job.organization_id, job.project_id, job.capability, job.model, band)
        sums[key][USD.bucket_of(float(job.tree_usd))] += 1
    return sums


def size_band(size_bytes: int) -> int:
    """The binary logarithm of a length, rounded down; 0 for an empty input."""
    return max(size_bytes, 1).bit_length() - 1
