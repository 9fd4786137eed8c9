"""What metrics say of calls agrees with what happened, and with the ledger."""

from collections.abc import Iterator

import pytest
from prometheus_client import REGISTRY

from core.gateway.errors import GatewayError
from core.gateway.resilience.breaker import Breakers
from core.gateway.routing import CHAT, EMBEDDING
from core.gateway.service import Gateway
from core.kit.settings import Settings
from tests.factories.calls import Caller, asked, simulated
from tests.factories.jobs import new_tenant
from tests.factories.provider_simulator import Answer, Failure, ProviderSimulator


def value(name: str, **labels: str) -> float:
    """The sum of the series of `name` that have these labels."""
    found = 0.0
    for family in REGISTRY.collect():
        for sample in family.samples:
            if sample.name == name and labels.items() <= sample.labels.items():
                found += sample.value
    return found


@pytest.fixture
def caller(settings: Settings) -> Iterator[Caller]:
    tenant = new_tenant(settings)
    yield Caller(tenant, settings)
    tenant.close()


def test_each_try_is_counted_and_what_it_cost_is_the_ledgers(settings: Settings, caller: Caller) -> None:
    deployment = "metered"
    caller.price(deployment)
    with (
        ProviderSimulator(Failure(status=503, retry_after="1"), Answer("three", " words", " more")) as it,
        simulated(settings, metered=it) as (gateway, _),
        caller.job() as job,
    ):
        with gateway.for_job(job.context).chat(CHAT, asked()) as stream:
            list(stream)
        job.succeed()
        settled = caller.settled(job.context.job_id)
    calls = {
        outcome: value("waybill_model_calls_total", deployment=deployment, operation="chat", outcome=outcome)
        for outcome in ("ok", "provider_unavailable")
    }
    assert calls == {"ok": 1, "provider_unavailable": 1}
    assert value("waybill_model_call_duration_seconds_count", deployment=deployment) == 2
    assert value("waybill_model_time_to_first_token_seconds_count", deployment=deployment) == 1
    assert value("waybill_model_output_tokens_per_second_count", deployment=deployment) == 1
    assert value("waybill_model_rests_total", deployment=deployment, cause="retry_after") == 1
    assert value("waybill_model_rest_seconds_total", deployment=deployment, cause="retry_after") >= 1
    assert value("waybill_spend_usd_total", deployment=deployment) == pytest.approx(
        float(sum(each.amount_usd for each in settled))
    )
    for kind in ("input_tokens", "output_tokens"):
        assert value("waybill_tokens_total", deployment=deployment, kind=kind) == sum(
            each.quantities.get(kind, 0) for each in settled
        )


def test_breakers_and_fallbacks_are_shown(settings: Settings, caller: Caller) -> None:
    breakers = Breakers(failures=1, open_seconds=60)
    with (
        ProviderSimulator(*[Failure(status=503)] * 2) as broken,
        ProviderSimulator(Answer("here"), Answer("again")) as spare,
        simulated(settings, broken=broken, spare=spare, max_attempts=1, breakers=breakers) as (gateway, _),
        caller.job() as job,
    ):
        for _ in range(2):
            with gateway.for_job(job.context).chat(CHAT, asked()) as stream:
                list(stream)
        job.succeed()
    assert len(broken.requests) == 1
    assert value("waybill_model_breaker_state", deployment="broken", operation="chat") == 2
    assert value("waybill_model_breaker_state", deployment="spare", operation="chat") == 0
    assert value("waybill_model_rests_total", deployment="broken", cause="breaker") == 1
    assert value("waybill_model_fallbacks_total", deployment="broken", code="provider_unavailable") == 1
    assert value("waybill_model_fallbacks_total", deployment="broken", code="deployment_resting") == 1
    assert value("waybill_model_fallbacks_total", deployment="spare") == 0


def test_a_call_is_counted_by_how_it_ended(settings: Settings, caller: Caller) -> None:
    with (
        ProviderSimulator(Answer(*[" word"] * 8), Answer(*[" word"] * 8, cut_after=2)) as it,
        simulated(settings, ended=it, max_attempts=1) as (gateway, _),
        caller.job() as job,
    ):
        with gateway.for_job(job.context).chat(CHAT, asked()) as stream:
            next(stream)
        with pytest.raises(GatewayError), gateway.for_job(job.context).chat(CHAT, asked("Another.")) as stream:
            list(stream)
        job.fail("cut")
    assert value("waybill_model_calls_total", deployment="ended", outcome="interrupted") == 1
    assert value("waybill_model_calls_total", deployment="ended", outcome="provider_stream_cut") == 1
    assert value("waybill_unpriced_calls_total", model="ended") == 2


def test_embeddings_are_counted_and_have_no_first_token(settings: Settings, caller: Caller) -> None:
    labels = {"operation": "embeddings", "provider": "local"}
    before = value("waybill_model_calls_total", outcome="ok", **labels)
    gateway = Gateway(settings)
    try:
        with caller.job() as job:
            gateway.for_job(job.context).embed(EMBEDDING, ["a parcel"])
            job.succeed()
    finally:
        gateway.close()
    assert value("waybill_model_calls_total", outcome="ok", **labels) == before + 1
    assert value("waybill_model_time_to_first_token_seconds_count", model=EMBEDDING) == 0
