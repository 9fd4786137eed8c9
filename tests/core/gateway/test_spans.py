"""One span per attempt, after OpenTelemetry's conventions for generative AI, and nothing that was said in any."""

from collections.abc import Iterator

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from core.gateway.errors import GatewayError
from core.gateway.routing import CHAT
from core.kit import telemetry
from core.kit.settings import Settings
from tests.factories.calls import Caller, asked, simulated
from tests.factories.jobs import new_tenant
from tests.factories.provider_simulator import Answer, Failure, ProviderSimulator, Tokens
from tests.factories.trace_collector import Collector, attributes_of, collecting
from tests.factories.trace_reference import check_spans

CLIENT = 3
USED = Tokens(100, 30, cached=60, reasoning=20)
SECRET = "the parcel of Mrs Peeters"


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    with collecting() as server:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", server.url)
        telemetry.configure_tracing(Settings(), "test")
        yield server
        telemetry.shutdown_tracing()


@pytest.fixture
def caller(settings: Settings) -> Iterator[Caller]:
    tenant = new_tenant(settings)
    yield Caller(tenant, settings)
    tenant.close()


def test_every_attempt_has_a_span_that_says_what_it_cost_and_not_what_was_said(
    settings: Settings, caller: Caller, collector: Collector
) -> None:
    with (
        ProviderSimulator(Failure(status=503), Answer(SECRET, " arrives today", usage=USED)) as provider,
        simulated(settings, main=provider) as (gateway, _),
        caller.job() as job,
    ):
        caller.price("main")
        with gateway.for_job(job.context).chat(CHAT, asked(SECRET)) as stream:
            said = "".join(chunk.text for chunk in stream)
        job.succeed()
    telemetry.shutdown_tracing()
    assert SECRET in said

    failed, answered = [span for span in collector.spans if span.name == "chat main"]
    assert {failed.kind, answered.kind} == {CLIENT}
    common = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "main",
        "waybill.deployment": "main",
    }
    assert common.items() <= attributes_of(failed).items()
    assert attributes_of(failed)["error.type"] == "ProviderUnavailable"
    reported = attributes_of(answered)
    assert common.items() <= reported.items()
    # Totals, and the parts that they hold.
    assert {
        name.removeprefix("gen_ai.usage."): reported[name] for name in reported if name.startswith("gen_ai.usage.")
    } == {
        "input_tokens": 100,
        "cache_read.input_tokens": 60,
        "output_tokens": 30,
        "reasoning.output_tokens": 20,
    }
    assert 0 < float(str(reported["gen_ai.response.time_to_first_chunk"])) < 60
    assert reported["gen_ai.request.stream"] is True
    check_spans([failed, answered])
    # Whose work it is, and which trace it belongs to, is none of a provider's business.
    sent = {name.lower() for request in provider.requests for name in request.headers}
    assert not {"traceparent", "baggage", "tracestate"} & sent
    lines = caller.settled(caller.job_ids[0])
    assert [reported_of(failed), reported_of(answered)] == [float(line.amount_usd) for line in lines]
    assert reported_of(answered) > 0
    assert reported["gen_ai.response.finish_reasons"] == ["stop"]
    assert reported["waybill.usage.estimated"] is False
    assert "error.type" not in reported
    assert SECRET not in collector.text


def reported_of(span: Span) -> float:
    """What a span says that its call cost."""
    return float(str(attributes_of(span)["waybill.cost.usd"]))


def test_a_call_that_is_given_up_is_no_error_of_its_span(
    settings: Settings, caller: Caller, collector: Collector
) -> None:
    with (
        ProviderSimulator(Answer("one", " two", " three")) as provider,
        simulated(settings, main=provider) as (gateway, _),
        caller.job() as job,
        gateway.for_job(job.context).chat(CHAT, asked()) as stream,
    ):
        next(stream)
    telemetry.shutdown_tracing()
    (span,) = [span for span in collector.spans if span.name == "chat main"]
    reported = attributes_of(span)
    assert "error.type" not in reported
    assert reported["waybill.usage.estimated"] is True


def test_a_refusal_of_the_provider_shows_its_kind_and_none_of_its_words(
    settings: Settings, caller: Caller, collector: Collector
) -> None:
    with (
        ProviderSimulator(Failure(status=400, message=SECRET)) as provider,
        simulated(settings, main=provider) as (gateway, _),
        caller.job() as job,
        pytest.raises(GatewayError),
        gateway.for_job(job.context).chat(CHAT, asked()) as stream,
    ):
        list(stream)
    telemetry.shutdown_tracing()
    (span,) = [span for span in collector.spans if span.name == "chat main"]
    assert str(attributes_of(span)["error.type"]).isidentifier()
    assert SECRET not in collector.text
