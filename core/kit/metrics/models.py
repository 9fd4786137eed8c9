"""Calls of models: how they end, how fast they answer, what rests. Counted by the gateway, in workers.

`model` is the platform's name of a model and `version` the number of its version, ``0`` where the registry holds none.
"""

from core.kit.metrics.families import BoundedLabel, counter, gauge, histogram

_CALL_SECONDS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0)
_FIRST_TOKEN_SECONDS = (0.025, 0.05, 0.1, 0.25, 0.5, 0.75, 1.0, 1.5, 2.5, 5.0, 10.0, 30.0, 60.0)
_TOKENS_PER_SECOND = (1, 2, 5, 10, 20, 35, 50, 75, 100, 150, 250, 500, 1000, 5000)
MODEL_LABELS = ("provider", "deployment", "model", "version")

MODEL_CALLS = counter(
    "waybill_model_calls",
    "Calls of models, tries counted each, by kind (chat, embeddings) and how they ended: ok, cached, interrupted, or"
    " the error's code.",
    ("operation", *MODEL_LABELS, "outcome"),
    by=("worker",),
)
MODEL_CALL_DURATION = histogram(
    "waybill_model_call_duration_seconds",
    "From a call's start to its end, whatever that was; answers from the cache are left out.",
    ("operation", *MODEL_LABELS),
    by=("worker",),
    buckets=_CALL_SECONDS,
    exemplars=True,
)
MODEL_FIRST_TOKEN = histogram(
    "waybill_model_time_to_first_token_seconds",
    "From a chat's start to the first piece that the model produced, reasoning included.",
    MODEL_LABELS,
    by=("worker",),
    buckets=_FIRST_TOKEN_SECONDS,
    exemplars=True,
)
MODEL_OUTPUT_SPEED = histogram(
    "waybill_model_output_tokens_per_second",
    "Output tokens of a chat after its first piece, over the time from then to the end.",
    MODEL_LABELS,
    by=("worker",),
    buckets=_TOKENS_PER_SECOND,
)
MODEL_RESTS = counter(
    "waybill_model_rests",
    "Times that a call waited before another try, by why: retry_after (the provider asked for it), or backoff. breaker:"
    " a call that was not made, because the deployment rests.",
    ("deployment", "operation", "cause"),
    by=("worker",),
)
MODEL_REST_SECONDS = counter(
    "waybill_model_rest_seconds",
    "Seconds that calls have waited before another try, by why.",
    ("deployment", "operation", "cause"),
    by=("worker",),
)
MODEL_BREAKER_STATE = gauge(
    "waybill_model_breaker_state",
    "The circuit breaker of a deployment in this process: 0 closed, 1 half-open (one call probes), 2 open.",
    ("deployment", "operation"),
    by=("worker",),
    mode="livemax",
)
MODEL_FALLBACKS = counter(
    "waybill_model_fallbacks",
    "Chats that were handed on to the next model of a chain, by the deployment that was given up and the error's code.",
    ("deployment", "code"),
    by=("worker",),
)

model_names = BoundedLabel()
