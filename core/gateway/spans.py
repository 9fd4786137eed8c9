"""One span per call to a model, after OpenTelemetry's conventions for generative AI. Never what was asked or said."""

from collections.abc import Iterator
from contextlib import contextmanager

from opentelemetry.trace import Span, SpanKind, StatusCode

from core.gateway.models import ChatStream, Usage
from core.kit.telemetry import start_span
from core.registry.records import ResolvedModel

_PROVIDERS = {"openai-compatible": "openai", "azure-openai": "azure.ai.openai"}


class CallSpan:
    """The span of one attempt. It is not made current: what the caller does between two chunks is not the model's."""

    def __init__(self, span: Span) -> None:
        self._span = span

    def set_attribute(self, name: str, value: str | float | bool) -> None:
        """Set one attribute."""
        self._span.set_attribute(name, value)

    def ended(self, stream: ChatStream, usage: Usage) -> None:
        """Note what the provider told about its answer."""
        self._span.set_attribute("gen_ai.usage.input_tokens", usage.input_tokens)
        self._span.set_attribute("gen_ai.usage.output_tokens", usage.output_tokens)
        self._span.set_attribute("waybill.usage.estimated", usage.estimated)
        if stream.finish is not None:
            self._span.set_attribute("gen_ai.response.finish_reasons", (stream.finish.value,))
        if stream.request_id is not None:
            self._span.set_attribute("gen_ai.response.id", stream.request_id)
        if stream.model_reported is not None:
            self._span.set_attribute("gen_ai.response.model", stream.model_reported)


@contextmanager
def call_span(operation: str, model: ResolvedModel) -> Iterator[CallSpan]:
    """A span of `operation` (``chat`` or ``embeddings``), below the current one."""
    span = start_span(
        f"{operation} {model.provider_model}",
        kind=SpanKind.CLIENT,
        attributes={
            "gen_ai.operation.name": operation,
            "gen_ai.provider.name": _PROVIDERS.get(model.provider, model.provider),
            "gen_ai.request.model": model.provider_model,
            "waybill.model": model.model,
            "waybill.deployment": model.deployment,
        },
    )
    try:
        yield CallSpan(span)
    except GeneratorExit:
        # The caller needed no more of the answer.
        raise
    except BaseException as error:
        span.set_attribute("error.type", type(error).__qualname__)
        span.set_status(StatusCode.ERROR)
        raise
    finally:
        span.end()
