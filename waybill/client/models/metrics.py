"""Metrics: what happened, and what has not ended."""

from datetime import datetime
from decimal import Decimal

from pydantic import Field

from waybill.client.models.base import Resource


class Quantiles(Resource):
    """Of how long something took, in seconds, each within 5 %; None: there was none."""

    p50: float | None = None
    p95: float | None = None
    p99: float | None = None


class Measures(Resource):
    """What jobs that ended, and model calls of theirs, add up to."""

    jobs: dict[str, int] | None = None
    error_rate: float | None = None
    failed_attempts: int | None = None
    outages: int | None = None
    wait_seconds: Quantiles | None = None
    duration_seconds: Quantiles | None = None
    calls: int = 0
    unpriced_calls: int = 0
    amount_usd: Decimal | None = None
    quantities: dict[str, int] = Field(default_factory=dict)
    call_seconds: Quantiles | None = None


class MetricsLine(Measures):
    """The measures of a group."""

    group: dict[str, str | None] = Field(default_factory=dict)


class MetricsPoint(MetricsLine):
    """The measures of a group within one interval."""

    at: datetime


class BacklogLine(Resource):
    """Jobs that have not ended, as they were last counted."""

    project_id: str
    capability: str
    state: str
    jobs: int
    oldest_at: datetime
    counted_at: datetime


class MetricsReport(Resource):
    """What happened from `begins` on and before `ends`."""

    begins: datetime = Field(alias="from")
    ends: datetime = Field(alias="to")
    interval: str
    group_by: str | None = None
    as_of: datetime
    total: Measures
    data: list[MetricsLine]
    series: list[MetricsPoint]
    backlog: list[BacklogLine]
