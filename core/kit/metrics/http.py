"""Requests and event streams, counted by the API."""

from core.kit.metrics.families import REQUEST_SECONDS, WAIT_SECONDS, counter, gauge, histogram

HTTP_REQUESTS = counter(
    "waybill_http_requests",
    "Requests answered, by route template and status class.",
    ("method", "route", "status"),
    by=("api",),
)
HTTP_DURATION = histogram(
    "waybill_http_request_duration_seconds",
    "Time to the last byte of an answer; streams are left out.",
    ("method", "route"),
    by=("api",),
    buckets=REQUEST_SECONDS,
    exemplars=True,
)
JOBS_SUBMITTED = counter(
    "waybill_jobs_submitted",
    "Jobs accepted by this process: requests, and the dispatcher's lines of batches. Child jobs are left out.",
    ("capability",),
    by=("api", "dispatcher"),
)
SUBMISSIONS_REPLAYED = counter(
    "waybill_submissions_replayed",
    "Submissions answered with the job that their Idempotency-Key had made before.",
    by=("api",),
)
SSE_STREAMS_OPEN = gauge("waybill_sse_streams_open", "Event streams open now.", by=("api",), mode="livesum")
STREAM_LAG = histogram(
    "waybill_stream_lag_seconds",
    "From the making of a live event to its sending to a client; what a client catches up on is left out.",
    by=("api",),
    buckets=WAIT_SECONDS,
)
STREAM_CATCH_UPS = counter(
    "waybill_stream_catch_ups",
    "Times that a reader of a stream had to read what it may have missed, its first reading included.",
    by=("api",),
)
