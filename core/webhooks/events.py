"""Event types that a receiver can subscribe to, and the test message."""

from enum import StrEnum


class EventType(StrEnum):
    """An event that endpoints can subscribe to."""

    JOB_SUCCEEDED = "job.succeeded"
    JOB_FAILED = "job.failed"
    JOB_CANCELLED = "job.cancelled"
    JOB_EXPIRED = "job.expired"
    JOB_REJECTED = "job.rejected"
    JOB_WAITING = "job.waiting"
    BUDGET_THRESHOLD = "budget.threshold"
    KEY_EXPIRING = "key.expiring"
    WEBHOOK_DISABLED = "webhook.disabled"
    EXPERIMENT_DECIDED = "experiment.decided"
    QUALITY_ALERT = "quality.alert"
    # In OpenAI's format, about responses of `/openai/v1`; only for endpoints that name them.
    RESPONSE_COMPLETED = "response.completed"
    RESPONSE_INCOMPLETE = "response.incomplete"
    RESPONSE_FAILED = "response.failed"
    RESPONSE_CANCELLED = "response.cancelled"
    BATCH_COMPLETED = "batch.completed"
    BATCH_FAILED = "batch.failed"
    BATCH_CANCELLED = "batch.cancelled"
    BATCH_EXPIRED = "batch.expired"


# The four ways in which a batch ends.
BATCH_EVENTS = tuple(event for event in EventType if event.startswith("batch."))
JOB_EVENTS = tuple(event for event in EventType if event.startswith("job."))
# Sent on request; no endpoint subscribes to it.
TEST = "webhook.test"
