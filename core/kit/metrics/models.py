"""Calls of models: how they end, how fast they answer, what rests. Counted by the gateway, in workers.

`model` is the platform's name of a model and `version` the number of its version, ``0`` where the registry holds none.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter
from typing import NamedTuple

from core.kit.metrics.families import BoundedLabel, counter, exemplar, gauge, histogram

_CALL_SECONDS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0)
_FIRST_TOKEN_SECONDS = (0.025, 0.05, 0.1, 0.25, 0.5, 0.75, 1.0, 1.5, 2.5, 5.0, 10.0, 30.0, 60.0)
_TOKENS_PER_SECOND = (1, 2, 5, 10, 20, 35, 50, 75, 100, 150, 250, 500, 1000, 5000)
MODEL_LABELS = ("provider", "deployment", "model", "version")

MODEL_CALLS = counter(
    "waybill_model_calls",
    "Calls of models, tries counted each, by kind (chat, embeddings) and how they ended: ok, cached, interrupted (the"
    " caller needed no more, or its job ended), or the error's code.",
    ("operation", *MODEL_LABELS, "outcome"),
    by=("worker",),
)
MODEL_CALL_DURATION = histogram(
    "waybill_model_call_duration_seconds",
    "Duration of a call, whatever its outcome, without cached responses.",
    ("operation", *MODEL_LABELS),
    by=("worker",),
    buckets=_CALL_SECONDS,
    exemplars=True,
)
MODEL_FIRST_TOKEN = histogram(
    "waybill_model_time_to_first_token_seconds",
    "Time from the start of a chat to the first output of the model, including reasoning.",
    MODEL_LABELS,
    by=("worker",),
    buckets=_FIRST_TOKEN_SECONDS,
    exemplars=True,
)
MODEL_OUTPUT_SPEED = histogram(
    "waybill_model_output_tokens_per_second",
    "Output tokens per second of a chat, after its first output.",
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
    "Seconds that calls waited before a retry, by cause.",
    ("deployment", "operation", "cause"),
    by=("worker",),
)
MODEL_BREAKER_STATE = gauge(
    "waybill_model_breaker_state",
    "State of a deployment's circuit breaker in this process: 0 closed, 1 half-open (one call probes), 2 open.",
    ("deployment", "operation"),
    by=("worker",),
    mode="livemax",
)
MODEL_FALLBACKS = counter(
    "waybill_model_fallbacks",
    "Chats that fell back to the next model, by the abandoned deployment and error code.",
    ("deployment", "code"),
    by=("worker",),
)

_models = BoundedLabel()
_codes = BoundedLabel()
BREAKER_STATES = {"closed": 0, "half_open": 1, "open": 2}


class ModelLabels(NamedTuple):
    """Identifies a model in the metrics. Tenants choose the names of their models, so use `of`, which bounds them."""

    provider: str
    deployment: str
    model: str
    version: str

    @classmethod
    def of(cls, provider: str, deployment: str, model: str, version: int | None) -> "ModelLabels":
        """The labels of a model by its name and the number of its version, None where the registry holds none."""
        return cls(provider, deployment, _models.of(model), str(version or 0))


class Measured:
    """One call of a model while it runs."""

    def __init__(self) -> None:
        self._began = perf_counter()
        self._first: float | None = None
        self.output_tokens = 0

    def begin(self) -> None:
        """Record that the model has produced something. Cheap after the first time."""
        if self._first is None:
            self._first = perf_counter()

    def observe(self, operation: str, labels: ModelLabels, outcome: str) -> None:
        """Record the call once it has ended."""
        ended = perf_counter()
        linked = exemplar()
        MODEL_CALLS.labels(operation, *labels, outcome).inc()
        MODEL_CALL_DURATION.labels(operation, *labels).observe(ended - self._began, linked)
        if self._first is None or operation != "chat":
            return
        MODEL_FIRST_TOKEN.labels(*labels).observe(self._first - self._began, linked)
        if self.output_tokens > 1 and ended > self._first:
            MODEL_OUTPUT_SPEED.labels(*labels).observe((self.output_tokens - 1) / (ended - self._first))


@contextmanager
def measured(operation: str, labels: ModelLabels) -> Iterator[Measured]:
    """Measure a call of ``chat`` or ``embeddings``. An exception gives the outcome, by its ``code`` if it has one."""
    call, outcome = Measured(), "ok"
    try:
        yield call
    except BaseException as error:
        code = getattr(error, "code", None)
        outcome = _codes.of(code) if isinstance(error, Exception) and isinstance(code, str) else "interrupted"
        raise
    finally:
        call.observe(operation, labels, outcome)


def observe_rest(deployment: str, operation: str, cause: str, seconds: float = 0.0) -> None:
    """Count a wait before another try, or with ``breaker`` a call that was not made."""
    MODEL_RESTS.labels(deployment, operation, cause).inc()
    MODEL_REST_SECONDS.labels(deployment, operation, cause).inc(seconds)


def observe_breaker(deployment: str, operation: str, state: str) -> None:
    """Show a circuit breaker's state."""
    MODEL_BREAKER_STATE.labels(deployment, operation).set(BREAKER_STATES[state])


def observe_fallback(deployment: str, code: str) -> None:
    """Count a chat that was passed on to the next model of its chain."""
    MODEL_FALLBACKS.labels(deployment, _codes.of(code)).inc()


def observe_cached(labels: ModelLabels) -> None:
    """Count a chat that was answered from the cache."""
    MODEL_CALLS.labels("chat", *labels, "cached").inc()
