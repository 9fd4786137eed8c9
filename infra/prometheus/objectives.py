"""Waybill's objectives in one table: rules, alerts, the dashboard and docs/reference/slos.md are made from it.

An objective states which share of events, or of time, must be good over thirty days. Its events are counted as rates
over five minutes, `bad` among `all`; longer windows are averages of those, so that a busy hour weighs more than a quiet
one.

The burn rates are those of Google's Site Reliability Workbook, chapter 5, table 5-8: a rate of 1 uses up the error
budget in exactly the thirty days.
"""

from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

PERIOD_DAYS = 30
# A single bad event on a quiet night is not a trend.
BAD_EVENTS_MIN = 3
SUBMIT_SECONDS = 0.5
START_SECONDS = 10.0
STREAM_SECONDS = 1.0
DELIVERY_SECONDS = 30.0
SEALED_SECONDS = 120.0

# Codes of failed attempts that are the fault of the platform or its operator. Failures caused by the input, the
# capability's answer, a budget or a model provider have other codes.
PLATFORM_FAULTS = (
    "blob_corrupt",
    "blob_misconfigured",
    "blob_unavailable",
    "capability_error",
    "credential_missing",
    "deployment_invalid",
    "deployment_unknown",
    "embedding_model_missing",
    "guard_key_missing",
    "guard_model_missing",
    "model_missing",
    "not_storable",
    "process_unavailable",
    "recognition_failed",
    "tool_servers_invalid",
    "worker_lost",
)


@dataclass(frozen=True, slots=True)
class Window:
    """A pair of windows: the burn rate must be exceeded over both, `short` so that the alert ends when the fault does.

    `budget_percent` is the share of the error budget that is used up when the long window alone is full of it.
    """

    long: str
    short: str
    burn_rate: Decimal
    budget_percent: int


FAST = (Window("1h", "5m", Decimal("14.4"), 2), Window("6h", "30m", Decimal(6), 5))
SLOW = (Window("3d", "6h", Decimal(1), 10),)


@dataclass(frozen=True, slots=True)
class Objective:
    """One objective. `bad` and `all` are PromQL: events per second, or for a state, whether it is bad (0 or 1) and 1.

    `fast` is the severity of the fast burns; an objective that others can violate never pages. `alert` is the stem of
    its alerts' names, `good` completes "what is good", `runbook` is a file of docs/runbooks.
    """

    name: str
    title: str
    good: str
    target_percent: Decimal
    alert: str
    bad: str
    all: str
    runbook: str
    fast: Literal["page", "ticket"] = "page"
    kind: Literal["events", "time"] = "events"

    @property
    def budget(self) -> Decimal:
        """The share that may be bad, such as 0.001."""
        return (100 - self.target_percent) / 100

    @property
    def target(self) -> Decimal:
        """The share that must be good, such as 0.999."""
        return 1 - self.budget


def _slower_than(histogram: str, seconds: float, labels: str = "") -> tuple[str, str]:
    """Observations of `histogram` above `seconds`, one of its bounds, and all observations, per second each."""
    selected = ", ".join(filter(None, (labels, f'le="{seconds}"')))
    counted = f"{{{labels}}}" if labels else ""
    everything = f"sum(rate({histogram}_count{counted}[5m]))"
    return f"{everything} - sum(rate({histogram}_bucket{{{selected}}}[5m]))", everything


_SUBMIT = 'method="POST", route="/v1/jobs"'
_LATE_SUBMITS = _slower_than("waybill_http_request_duration_seconds", SUBMIT_SECONDS, _SUBMIT)
_LATE_STARTS = _slower_than("waybill_job_wait_seconds", START_SECONDS)
_LATE_EVENTS = _slower_than("waybill_stream_lag_seconds", STREAM_SECONDS)
_LATE_DELIVERIES = _slower_than("waybill_webhook_delivery_seconds", DELIVERY_SECONDS)
_LOST = '(sum(rate(waybill_swept_jobs_total{outcome="failed", reason="worker_lost"}[5m])) or vector(0))'

OBJECTIVES = (
    Objective(
        name="submit_availability",
        title="Submissions are answered",
        good="of the submissions (POST /v1/jobs) are answered without a 5xx",
        target_percent=Decimal("99.9"),
        alert="WaybillSubmitAvailability",
        bad=f'sum(rate(waybill_http_requests_total{{{_SUBMIT}, status="5xx"}}[5m]))',
        all=f"sum(rate(waybill_http_requests_total{{{_SUBMIT}}}[5m]))",
        runbook="requests-fail.md",
    ),
    Objective(
        name="submit_latency",
        title="Submissions are fast",
        good=f"of the submissions (POST /v1/jobs) are answered within {SUBMIT_SECONDS:g} s",
        target_percent=Decimal(99),
        alert="WaybillSubmitLatency",
        bad=_LATE_SUBMITS[0],
        all=_LATE_SUBMITS[1],
        runbook="slow-queries.md",
    ),
    Objective(
        name="start_delay",
        title="Jobs start soon",
        good=f"of the jobs start within {START_SECONDS:g} s of being due",
        target_percent=Decimal(95),
        alert="WaybillStartDelay",
        bad=_LATE_STARTS[0],
        all=_LATE_STARTS[1],
        runbook="jobs-wait.md",
    ),
    Objective(
        name="job_success",
        title="The platform fails no job",
        good="of the jobs that end in success or failure do not fail for a reason of the platform's own",
        target_percent=Decimal("99.5"),
        alert="WaybillJobSuccess",
        bad=(
            "(sum(rate(waybill_job_attempts_ended_total"
            f'{{outcome="failed", reason=~"{"|".join(PLATFORM_FAULTS)}"}}[5m])) or vector(0)) + {_LOST}'
        ),
        all=f'sum(rate(waybill_job_attempt_duration_seconds_count{{outcome=~"succeeded|failed"}}[5m])) + {_LOST}',
        runbook="jobs-fail.md",
    ),
    Objective(
        name="webhook_delivery",
        title="Webhooks arrive",
        good=f"of the delivered messages are taken within {DELIVERY_SECONDS:g} s of their making",
        target_percent=Decimal(99),
        alert="WaybillWebhookDelivery",
        bad=_LATE_DELIVERIES[0],
        all=_LATE_DELIVERIES[1],
        runbook="webhooks-fail.md",
        fast="ticket",
    ),
    Objective(
        name="stream_lag",
        title="Streams are live",
        good=f"of the live events are sent within {STREAM_SECONDS:g} s of their making",
        target_percent=Decimal(99),
        alert="WaybillStreamLag",
        bad=_LATE_EVENTS[0],
        all=_LATE_EVENTS[1],
        runbook="streams-not-delivered.md",
    ),
    Objective(
        name="sealer_lag",
        title="The audit trail is sealed",
        good=f"of the time no audit record waits longer than {SEALED_SECONDS:g} s for its seal",
        target_percent=Decimal("99.5"),
        alert="WaybillSealerLag",
        bad=f"max(waybill_audit_oldest_unsealed_seconds) > bool {SEALED_SECONDS:g}",
        all="max(waybill_audit_oldest_unsealed_seconds) >= bool 0",
        runbook="audit-gap.md",
        kind="time",
    ),
)
