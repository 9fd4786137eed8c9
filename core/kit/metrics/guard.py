"""What the guard finds and decides, in the processes that ask it, and the analyzer's own work."""

from collections.abc import Iterable

from core.kit.metrics.families import REQUEST_SECONDS, counter, histogram

GUARD_FINDINGS = counter(
    "waybill_guard_findings",
    "Findings of the guard, by kind and the policy's action; kinds that a tenant defines are custom.",
    ("kind", "action"),
    by=("api", "worker"),
)
GUARD_VERDICTS = counter(
    "waybill_guard_verdicts",
    "Screenings by border, source of the text and verdict: clean, detected, redacted, blocked, incomplete (let pass"
    " unseen, since the policy only detects) or unavailable (not let pass).",
    ("direction", "source", "verdict"),
    by=("api", "worker"),
)
GUARD_SCREEN_DURATION = histogram(
    "waybill_guard_screen_duration_seconds",
    "Duration of a screening in the process that requested it, by direction.",
    ("direction",),
    by=("api", "worker"),
    buckets=REQUEST_SECONDS,
)
GUARD_UNAVAILABLE = counter(
    "waybill_guard_unavailable",
    "Analyses that this process requested without success.",
    by=("api", "worker"),
)
GUARD_REQUESTS = histogram(
    "waybill_guard_request_duration_seconds",
    "Duration of requests to the analyzer, by outcome: answered, refused, overloaded or late.",
    ("outcome",),
    by=("guard",),
    buckets=REQUEST_SECONDS,
)
GUARD_CHARACTERS = counter("waybill_guard_characters", "Characters that the analyzer has analyzed.", by=("guard",))
GUARD_CHILDREN_LOST = counter(
    "waybill_guard_children_lost",
    "Child processes of the analyzer that were stopped because of the text they analyzed, by cause.",
    ("cause",),
    by=("guard",),
)


def observe_findings(found: Iterable[tuple[str, str]]) -> None:
    """Count the guard's findings, each by a kind from a closed list and an action."""
    for kind, action in found:
        GUARD_FINDINGS.labels(kind, action).inc()


def observe_verdict(direction: str, source: str, verdict: str, seconds: float) -> None:
    """Record a screening of some texts, and how long the caller waited for it."""
    GUARD_VERDICTS.labels(direction, source, verdict).inc()
    GUARD_SCREEN_DURATION.labels(direction).observe(seconds)
