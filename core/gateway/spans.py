"""One span per model call, after OpenTelemetry's conventions for generative AI."""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from decimal import Decimal
from threading import Lock

from opentelemetry.trace import Span, SpanKind

from core.capability import ModelCall, ModelUsage
from core.gateway.models import ChatRequest, ChatStream, Chunk
from core.gateway.routing import LOCAL, Address
from core.kit import semconv
from core.kit.semconv import Operation
from core.kit.telemetry import Value, mark_failed, start_span
from core.registry.records import ResolvedModel


class CallSpan:
    """The span of one attempt. It is not made current: the caller's work between two chunks is not the model's.

    It ends with the call and is written when the call is settled, because only then is the cost known.
    """

    def __init__(self, span: Span) -> None:
        self._span = span
        self._began = time.perf_counter()
        self.heard: list[Chunk] = []
        self._is_settled = True
        self._ended_at: int | None = None
        self._lock = Lock()

    def set_attribute(self, name: str, value: Value | Sequence[str]) -> None:
        """Set an attribute."""
        self._span.set_attribute(name, value)

    def set_attributes(self, attributes: Mapping[str, Value]) -> None:
        """Set several attributes."""
        self._span.set_attributes(attributes)

    def hear(self, chunk: Chunk, *, is_kept: bool) -> None:
        """Record the time to the first chunk; `is_kept` keeps all chunks for later (`heard`)."""
        if not self.heard:
            self._span.set_attribute(semconv.TIME_TO_FIRST_CHUNK, time.perf_counter() - self._began)
        if is_kept or not self.heard:
            self.heard.append(chunk)

    def settles_with(self, call: ModelCall) -> None:
        """Hold the span until the ledger has settled `call`."""
        with self._lock:
            self._is_settled = False
        call.when_settled(self._settle)

    def used(self, usage: ModelUsage) -> None:
        """Record the consumption."""
        self._span.set_attributes(usage_attributes(usage.quantities))
        self._span.set_attribute(semconv.USAGE_ESTIMATED, usage.estimated)

    def answered(self, stream: ChatStream) -> None:
        """Record the provider's metadata about its answer."""
        if stream.finish is not None:
            self._span.set_attribute(semconv.RESPONSE_FINISH_REASONS, (stream.finish.value,))
        if stream.request_id is not None:
            self._span.set_attribute(semconv.RESPONSE_ID, stream.request_id)
        if stream.model_reported is not None:
            self._span.set_attribute(semconv.RESPONSE_MODEL, stream.model_reported)

    def fail(self, error: BaseException) -> None:
        """The call ended with `error`."""
        mark_failed(self._span, type(error).__qualname__)

    def end(self) -> None:
        """Record the end of the call."""
        with self._lock:
            self._ended_at = time.time_ns()
            is_settled = self._is_settled
        if is_settled:
            self._span.end(self._ended_at)

    def _settle(self, cost_usd: Decimal | None) -> None:
        # A call without a price has no cost attribute, which is not zero.
        self._span.set_attribute(semconv.COST_PRICED, cost_usd is not None)
        if cost_usd is not None:
            self._span.set_attribute(semconv.COST_USD, float(cost_usd))
        with self._lock:
            self._is_settled = True
            ended_at = self._ended_at
        if ended_at is not None:
            self._span.end(ended_at)


def usage_attributes(quantities: Mapping[str, int]) -> dict[str, int]:
    """Amounts by kind, each token in one kind, converted to the conventions' totals and parts."""
    usage = ModelUsage("", quantities)
    parts = {
        semconv.CACHE_READ_TOKENS: quantities.get("cached_input_tokens", 0),
        semconv.CACHE_CREATION_TOKENS: quantities.get("cache_write_tokens", 0),
        semconv.REASONING_TOKENS: quantities.get("reasoning_tokens", 0),
    }
    totals = {semconv.INPUT_TOKENS: usage.input_tokens, semconv.OUTPUT_TOKENS: usage.output_tokens}
    return {**totals, **{name: amount for name, amount in parts.items() if amount}}


def request_attributes(request: ChatRequest) -> dict[str, Value]:
    """Attributes of a request without its text."""
    given = {} if request.temperature is None else {semconv.REQUEST_TEMPERATURE: request.temperature}
    return {
        **given,
        semconv.REQUEST_MAX_TOKENS: request.max_output_tokens,
        semconv.REQUEST_STREAM: True,
        semconv.OUTPUT_TYPE: "text" if request.output_schema is None else "json",
    }


@contextmanager
def call_span(operation: Operation, model: ResolvedModel, address: Address | None = None) -> Iterator[CallSpan]:
    """A span of `operation`, below the current one; `address` is the model's."""
    where: dict[str, Value] = {}
    if address is not None:
        where = {semconv.SERVER_ADDRESS: address.host, semconv.SERVER_PORT: address.port}
    opened = CallSpan(
        start_span(
            f"{operation} {model.provider_model}",
            # A call within this process uses no network.
            kind=SpanKind.INTERNAL if model.provider == LOCAL else SpanKind.CLIENT,
            attributes={
                semconv.OPERATION: operation.value,
                semconv.PROVIDER: semconv.provider_name(model.provider, None if address is None else address.host),
                semconv.REQUEST_MODEL: model.provider_model,
                semconv.MODEL: model.model,
                semconv.DEPLOYMENT: model.deployment,
                **where,
            },
        )
    )
    try:
        yield opened
    except GeneratorExit:
        # The caller stopped reading the answer.
        raise
    except BaseException as error:
        opened.fail(error)
        raise
    finally:
        opened.end()
