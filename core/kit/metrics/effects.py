"""What leaves Waybill besides model calls: calls of tools, and webhooks."""

from core.kit.metrics.families import REQUEST_SECONDS, counter, exemplar, gauge, histogram

_DELIVERY_SECONDS = (0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0, 21600.0, 86400.0)

TOOL_CALLS = counter(
    "waybill_tool_calls",
    "Tool calls and web searches (server web_search), without retries, by outcome: done, refused,"
    " failed, or unknown (cut off, or the server did not say).",
    ("server", "tool", "outcome"),
    by=("worker",),
)
TOOL_CALL_DURATION = histogram(
    "waybill_tool_call_duration_seconds",
    "Duration of tool calls, including pauses and retries.",
    ("server", "tool"),
    by=("worker",),
    buckets=REQUEST_SECONDS,
    exemplars=True,
)
WEBHOOK_ATTEMPTS = counter(
    "waybill_webhook_attempts",
    "Attempts to deliver a webhook, by outcome.",
    ("outcome",),
    by=("deliverer",),
)
WEBHOOK_ATTEMPT_DURATION = histogram(
    "waybill_webhook_attempt_duration_seconds",
    "Duration of attempts to deliver a webhook, by outcome: delivered or failed.",
    ("outcome",),
    by=("deliverer",),
    buckets=REQUEST_SECONDS,
    exemplars=True,
)
WEBHOOK_DELIVERY = histogram(
    "waybill_webhook_delivery_seconds",
    "Time from the creation of a message to its delivery, including failed attempts and the pauses between them.",
    by=("deliverer",),
    buckets=_DELIVERY_SECONDS,
)
WEBHOOKS_UNDER_WAY = gauge(
    "waybill_webhooks_under_way", "Attempts to deliver that run now.", by=("deliverer",), mode="livesum"
)
WEBHOOK_ENDPOINTS_DISABLED = counter(
    "waybill_webhook_endpoints_disabled", "Endpoints that were disabled, by why.", ("reason",), by=("deliverer",)
)
WEBHOOK_BACKLOG = gauge(
    "waybill_webhook_backlog",
    "Pending deliveries by state: due, later (in progress, or waiting for a retry), or paused with their endpoint.",
    ("state",),
    by=("dispatcher",),
    mode="mostrecent",
)
WEBHOOK_OLDEST_DUE = gauge(
    "waybill_webhook_oldest_due_seconds",
    "Time since the oldest due delivery became due; 0 if none is due.",
    by=("dispatcher",),
    mode="mostrecent",
)


def observe_tool_call(server: str, tool: str, outcome: str, seconds: float) -> None:
    """Record a call of a tool, both names as the operator configured them."""
    TOOL_CALLS.labels(server, tool, outcome).inc()
    TOOL_CALL_DURATION.labels(server, tool).observe(seconds, exemplar())


def observe_webhook(
    error: str | None, seconds: float, since_made_seconds: float, linked: dict[str, str] | None
) -> None:
    """Record a delivery attempt that took `seconds`, with the error's name or None; `linked` is its exemplar."""
    WEBHOOK_ATTEMPTS.labels(error or "delivered").inc()
    WEBHOOK_ATTEMPT_DURATION.labels("failed" if error else "delivered").observe(seconds, linked)
    if error is None:
        WEBHOOK_DELIVERY.observe(max(0.0, since_made_seconds))
