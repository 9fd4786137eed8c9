"""Texts to vectors, metered: one ledger call for the batches in this process, one per request elsewhere.

There is no fallback: the vectors of two models cannot be compared.
"""

from collections.abc import Callable, Sequence
from itertools import count
from typing import TYPE_CHECKING

from core.capability import JobContext, ModelRef, ModelUsage
from core.gateway.errors import GatewayError, ProviderTimeout, cause_of_rest, was_turned_away
from core.gateway.models import Embedder
from core.gateway.resilience.backoff import Backoff, wait
from core.gateway.resilience.breaker import Breakers
from core.gateway.routing import ReachedEmbedder
from core.gateway.spans import call_span
from core.kit import semconv
from core.kit.errors import CapabilityFailure, Outage
from core.kit.metrics.models import ModelLabels, measured, observe_rest
from core.kit.semconv import Operation
from core.registry.records import ResolvedModel

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

# A job can be cancelled between batches; a batch of the embedded model takes about half a second.
_LOCAL_BATCH = 32
# OpenAI takes at most 2,048 texts in one request; fewer keep a request short enough to be cancelled promptly.
_REMOTE_BATCH = 256

Progress = Callable[[int, int], None]


def embed_locally(
    ctx: JobContext,
    model: ResolvedModel,
    embedder: Embedder,
    texts: Sequence[str],
    on_progress: Progress | None,
    *,
    dimensions: int | None = None,
) -> "NDArray[np.float32]":
    """Vectors of the embedded model, of shape (len(texts), dimensions), metered up to the last finished batch.

    Raises `CapabilityFailure` when `dimensions` differs from what the model has.
    """
    import numpy as np

    require_dimensions(model, dimensions, embedder.dimensions)
    if not texts:
        return np.zeros((0, embedder.dimensions), dtype=np.float32)
    tokens = [embedder.count_tokens(text) for text in texts]
    vectors: list[NDArray[np.float32]] = []
    with (
        call_span(Operation.EMBEDDINGS, model) as span,
        ctx.call_model(ref_of(model), {"embedding_tokens": sum(tokens)}) as call,
        measured("embeddings", labels_of(model)),
    ):
        span.settles_with(call)
        span.set_attribute(semconv.DIMENSIONS, embedder.dimensions)
        call.report(ModelUsage(model.price_model, {"embedding_tokens": 0}))
        for begin in range(0, len(texts), _LOCAL_BATCH):
            ctx.check()
            vectors.append(embedder.embed(texts[begin : begin + _LOCAL_BATCH]))
            done = min(begin + _LOCAL_BATCH, len(texts))
            call.report(ModelUsage(model.price_model, {"embedding_tokens": sum(tokens[:done])}))
            if on_progress is not None:
                on_progress(done, len(texts))
        span.set_attribute(semconv.INPUT_TOKENS, sum(tokens))
    return np.concatenate(vectors)


def embed_remotely(
    ctx: JobContext,
    model: ResolvedModel,
    reached: ReachedEmbedder,
    texts: Sequence[str],
    on_progress: Progress | None,
    *,
    dimensions: int | None = None,
    breakers: Breakers,
    backoff: Backoff,
) -> "NDArray[np.float32]":
    """Vectors of a model behind a deployment. Raises `GatewayError` once a request's tries are exhausted.

    A retried request is paid for again where the provider bills it: every try has its own ledger call.
    """
    import numpy as np

    if reached.remote is None or not texts:
        return np.zeros((0, 0), dtype=np.float32)
    vectors: list[NDArray[np.float32]] = []
    # A later attempt of the job is itself a retry: it calls once, so that retries add up and never multiply.
    most = reached.max_attempts if ctx.attempt == 1 else 1
    for begin in range(0, len(texts), _REMOTE_BATCH):
        batch = texts[begin : begin + _REMOTE_BATCH]
        for number in count(1):
            try:
                with breakers.guard(model.deployment, "embeddings"):
                    vectors.append(_ask(ctx, model, reached, batch, dimensions))
                break
            except GatewayError as error:
                is_patient = error.retryable and not isinstance(error, ProviderTimeout) and number < most
                pause = backoff.seconds(number, error) if is_patient else None
                if pause is None:
                    if error.is_outage:
                        error.outage = Outage(f"model deployment {model.deployment}", error.retry_after_seconds)
                    raise
                observe_rest(model.deployment, "embeddings", cause_of_rest(error), pause)
            wait(pause, ctx.check)
        if on_progress is not None:
            on_progress(begin + len(batch), len(texts))
    require_dimensions(model, dimensions, vectors[0].shape[1])
    return np.concatenate(vectors)


def require_dimensions(model: ResolvedModel, wanted: int | None, given: int) -> None:
    """Raises `CapabilityFailure` when vectors have another length than requested."""
    if wanted not in (None, given):
        raise CapabilityFailure(
            f"{model.model} gives vectors of {given} numbers, not of {wanted}; leave dimensions out",
            code="model_lacks_ability",
        )


def ref_of(model: ResolvedModel) -> ModelRef:
    """The model as the ledger names it."""
    version = None if model.version_id is None else str(model.version_id)
    return ModelRef(model.price_provider, model.price_model, version, labels_of(model))


def labels_of(model: ResolvedModel) -> ModelLabels:
    """The model as metrics name it."""
    return ModelLabels.of(model.provider, model.deployment, model.model, model.version)


def _ask(
    ctx: JobContext,
    model: ResolvedModel,
    reached: ReachedEmbedder,
    texts: Sequence[str],
    dimensions: int | None,
) -> "NDArray[np.float32]":
    remote = reached.remote
    assert remote is not None
    with (
        call_span(Operation.EMBEDDINGS, model, reached.address) as span,
        ctx.call_model(ref_of(model), remote.bound(texts)) as call,
    ):
        span.settles_with(call)
        try:
            with measured("embeddings", labels_of(model)):
                embedded = remote.embed(texts, dimensions=dimensions, check=ctx.check)
        except GatewayError as error:
            if was_turned_away(error):
                call.report(ModelUsage(model.price_model, {"embedding_tokens": 0}))
            raise
        usage = embedded.usage
        call.report(ModelUsage(model.price_model, usage.quantities, usage.estimated))
        span.used(usage)
        span.set_attribute(semconv.DIMENSIONS, int(embedded.vectors.shape[1]))
        return embedded.vectors
