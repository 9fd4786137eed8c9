"""A request rate, replayed over the times at which jobs were accepted."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from core.limits.rates import Bucket, LocalBuckets


@dataclass(slots=True)
class LimitBacktest:
    """The effect a rate would have had on jobs, each of them one request."""

    jobs: int = 0
    refused: int = 0
    first_at: datetime | None = None
    longest_wait_seconds: int = 0
    by_day: dict[str, int] = field(default_factory=dict)
    examples: list[UUID] = field(default_factory=list)


def replay(submissions: Iterable[tuple[datetime, UUID]], per_minute: int, *, examples: int = 10) -> LimitBacktest:
    """Check every submission against a bucket of `per_minute` requests, by the same rule as for live requests.

    Only requests that became jobs are known: reads and refused requests are not counted.
    """
    buckets, found = LocalBuckets(), LimitBacktest()
    bucket = (Bucket("backtest", None, "backtest", per_minute, "backtest"),)
    for at, job_id in submissions:
        found.jobs += 1
        verdict = buckets.decide(bucket, at.timestamp() * 1e6)
        if verdict.passes:
            continue
        found.refused += 1
        found.first_at = found.first_at or at
        found.longest_wait_seconds = max(found.longest_wait_seconds, verdict.empty[1])
        day = at.date().isoformat()
        found.by_day[day] = found.by_day.get(day, 0) + 1
        if len(found.examples) < examples:
            found.examples.append(job_id)
    return found
