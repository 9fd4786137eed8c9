"""Requests and event streams, counted by the API."""

from core.kit.metrics.families import REQUEST_SECONDS, WAIT_SECONDS, counter, gauge, histogram

HTTP_REQUESTS = counter(
    "waybill_http_requests",
    "Requests by route template and status class.",
    ("method", "route", "status"),
    by=("api",),
)
HTTP_DURATION = histogram(
    "waybill_http_request_duration_seconds",
    "Time to the last byte of a response, without streams.",
    ("method", "route"),
    by=("api",),
    buckets=REQUEST_SECONDS,
    exemplars=True,
)
JOBS_SUBMITTED = counter(
    "waybill_jobs_submitted",
    "Jobs accepted by this process: requests, and lines of batches in the dispatcher. Without child jobs.",
    ("capability",),
    by=("api", "dispatcher"),
)
SUBMISSIONS_REPLAYED = counter(
    "waybill_submissions_replayed",
    "Submissions that returned the earlier job with the same Idempotency-Key.",
    by=("api",),
)
SSE_STREAMS_OPEN = gauge("waybill_sse_streams_open", "Event streams open now.", by=("api",), mode="livesum")
STREAM_LAG = histogram(
    "waybill_stream_lag_seconds",
    "Time from the creation of a live event to its transmission, without events that a client catches up on.",
    by=("api",),
    buckets=WAIT_SECONDS,
)
STREAM_CATCH_UPS = counter(
    "waybill_stream_catch_ups",
    "Reads of events that a stream may have missed, including the first read.",
    by=("api",),
)
