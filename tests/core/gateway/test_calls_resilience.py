"""Fallbacks, breakers, waiting as told, answers from the cache, and what a model may be asked at all."""

import json
import time
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
from pydantic import SecretStr

from core.capability import JobCancelled
from core.gateway.cache import digest_of
from core.gateway.errors import GatewayError, ProviderRefused, ProviderUnavailable
from core.gateway.models import Image, ToolSpec
from core.gateway.resilience.backoff import Backoff, wait
from core.gateway.resilience.breaker import Breaker, Breakers, State
from core.gateway.resilience.rests import SharedRests
from core.gateway.routing import CHAT, EMBEDDING, MINILM, may_see
from core.gateway.service import open_gateway
from core.kit.clock import utc_now
from core.kit.data_classes import DataClass
from core.kit.errors import CapabilityFailure, Outage
from core.kit.ids import new_id
from core.kit.redis import connect
from core.kit.settings import Settings
from core.registry.errors import ModelUnknown
from tests.factories.calls import QUICK, asked, simulated
from tests.factories.context import RecordingContext
from tests.factories.provider_simulator import Answer, Failure, ProviderSimulator

OFFLINE = Settings(model_base_url=None)


def test_the_spare_answers_when_the_first_does_not() -> None:
    with (
        ProviderSimulator(Failure(status=500)) as main,
        ProviderSimulator(Answer("spare")) as spare,
        simulated(OFFLINE, main=main, spare=spare) as (gateway, _),
    ):
        ctx = RecordingContext()
        with gateway.for_job(ctx).chat(CHAT, asked()) as stream:
            assert [chunk.text for chunk in stream] == ["spare"]
        assert stream.model.model == "spare"
        assert (len(main.requests), len(spare.requests)) == (3, 1)
        assert [usage.model for usage in ctx.usage] == ["main"] * 3 + ["spare"]
        assert [usage.input_tokens for usage in ctx.usage[:3]] == [0, 0, 0]


def test_a_request_that_is_refused_is_neither_repeated_nor_taken_elsewhere() -> None:
    with (
        ProviderSimulator(Failure(status=422)) as main,
        ProviderSimulator(Answer("spare")) as spare,
        simulated(OFFLINE, main=main, spare=spare) as (gateway, _),
    ):
        with pytest.raises(ProviderRefused), gateway.for_job(RecordingContext()).chat(CHAT, asked()) as stream:
            list(stream)
        assert (len(main.requests), len(spare.requests)) == (1, 0)


def test_a_spent_account_is_left_for_the_spare_at_once() -> None:
    with (
        ProviderSimulator(Failure(status=429, code="insufficient_quota")) as main,
        ProviderSimulator(Answer("spare")) as spare,
        simulated(OFFLINE, main=main, spare=spare) as (gateway, _),
        gateway.for_job(RecordingContext()).chat(CHAT, asked()) as stream,
    ):
        assert [chunk.text for chunk in stream] == ["spare"]
        assert len(main.requests) == 1


def test_a_deployment_that_fails_in_a_row_rests_and_is_probed_by_one_call() -> None:
    breakers = Breakers(failures=2, open_seconds=0.2)
    with (
        ProviderSimulator(Failure(status=503), Failure(status=503), Answer("back")) as main,
        simulated(OFFLINE, main=main, max_attempts=1, breakers=breakers) as (gateway, _),
    ):
        for code in ("provider_unavailable", "provider_unavailable", "deployment_resting"):
            with (
                pytest.raises(ProviderUnavailable) as raised,
                gateway.for_job(RecordingContext()).chat(CHAT, asked()) as s,
            ):
                list(s)
            assert raised.value.code == code
        assert len(main.requests) == 2
        wait(0.25, lambda: None)
        with gateway.for_job(RecordingContext()).chat(CHAT, asked()) as stream:
            assert [chunk.text for chunk in stream] == ["back"]
        assert breakers.of("main", "chat").state is State.CLOSED


ODD: dict[str, Answer | Failure] = {
    "malformed": Answer("one", malformed_after=0),
    "cut": Answer("one", "two", cut_after=1),
    "no end": Answer("one", finish_reason=None),
    "unknown end": Answer("one", finish_reason="a reason of tomorrow"),
    "refused": Failure(status=400),
    "broken": Failure(status=500),
    "not found": Failure(status=404),
}


@pytest.mark.survive("F3")
@pytest.mark.parametrize("odd", ODD)
def test_odd_answers_and_refusals_open_no_breaker(odd: str) -> None:
    breakers = Breakers(failures=2, open_seconds=60)
    with (
        ProviderSimulator(*[ODD[odd]] * 4, Answer("fine")) as main,
        simulated(OFFLINE, main=main, max_attempts=1, breakers=breakers) as (gateway, _),
    ):
        for _ in range(4):
            with pytest.raises(GatewayError) as raised, gateway.for_job(RecordingContext()).chat(CHAT, asked()) as s:
                list(s)
            assert raised.value.outage is None
        with gateway.for_job(RecordingContext()).chat(CHAT, asked()) as stream:
            assert [chunk.text for chunk in stream] == ["fine"]
        assert breakers.of("main", "chat").state is State.CLOSED


@pytest.mark.survive("F3")
@pytest.mark.parametrize("status", [429, 502, 503, 504, 529])
def test_outages_open_the_breaker_of_their_kind_and_say_until_when(status: int) -> None:
    breakers = Breakers(failures=2, open_seconds=60)
    with (
        ProviderSimulator(Failure(status=status)) as main,
        simulated(OFFLINE, main=main, max_attempts=1, breakers=breakers) as (gateway, _),
    ):
        for _ in range(3):
            with pytest.raises(GatewayError) as raised, gateway.for_job(RecordingContext()).chat(CHAT, asked()) as s:
                list(s)
        assert len(main.requests) == 2
    outage = raised.value.outage
    assert outage is not None
    assert outage.dependency == "model deployment main"
    assert 50 < (outage.retry_after_seconds or 0) <= 60
    states = {kind: breakers.of("main", kind).state for kind in ("chat", "embeddings")}
    assert states == {"chat": State.OPEN, "embeddings": State.CLOSED}


def test_while_one_model_of_a_chain_is_unavailable_the_failure_is_an_outage() -> None:
    with (
        ProviderSimulator(Failure(status=503, retry_after="40")) as main,
        ProviderSimulator(Failure(status=401)) as spare,
        simulated(OFFLINE, main=main, spare=spare) as (gateway, _),
    ):
        with pytest.raises(GatewayError) as raised, gateway.for_job(RecordingContext()).chat(CHAT, asked()) as s:
            list(s)
        # Forty seconds are not waited with a worker in hand.
        assert (len(main.requests), len(spare.requests)) == (1, 1)
    assert raised.value.outage == Outage("model deployment main", 40)


def rests(settings: Settings) -> SharedRests:
    return SharedRests(connect(settings), settings.key)


@pytest.mark.survive("F3")
def test_a_rest_that_one_process_begins_holds_in_all_of_them(settings: Settings) -> None:
    """Each gateway stands for a process: they have nothing in common but Redis."""
    name = f"main-{new_id()}"
    with ProviderSimulator(Failure(status=503)) as main, ProviderSimulator(Answer("other")) as other:
        seen = []
        for _ in range(2):
            breakers = Breakers(failures=2, open_seconds=60, shared=rests(settings))
            with simulated(OFFLINE, main=main, other=other, max_attempts=1, breakers=breakers) as (gateway, simulators):
                chosen = replace(simulators.models["main"], deployment=name, fallbacks=())
                simulators.models["main"] = chosen
                for _ in range(2):
                    with (
                        pytest.raises(ProviderUnavailable) as raised,
                        gateway.for_job(RecordingContext()).chat(CHAT, asked()) as stream,
                    ):
                        list(stream)
                    seen.append(raised.value.code)
                # Another deployment, and another kind of call, do not rest.
                with gateway.for_job(RecordingContext()).chat("other", asked()) as stream:
                    assert [chunk.text for chunk in stream] == ["other"]
                with breakers.guard(name, "embeddings"):
                    pass
    assert seen == ["provider_unavailable"] * 2 + ["deployment_resting"] * 2
    assert len(main.requests) == 2
    assert 50 < (raised.value.retry_after_seconds or 0) <= 60


def test_without_redis_every_process_learns_for_itself(settings: Settings) -> None:
    away = settings.model_copy(update={"redis_url": SecretStr("redis://127.0.0.1:9/0")})
    breakers = Breakers(failures=1, open_seconds=60, shared=rests(away))
    for code in ("provider_unavailable", "deployment_resting"):
        with pytest.raises(ProviderUnavailable) as raised, breakers.guard("main", "chat"):
            raise ProviderUnavailable("no", is_outage=True)
        assert raised.value.code == code
    breakers.close()


def test_a_breaker_lets_one_probe_through_and_opens_again_when_it_fails() -> None:
    now = [0.0]
    breaker = Breaker(failures=2, open_seconds=10, clock=lambda: now[0])
    for _ in range(2):
        assert breaker.enter()
        breaker.fail()
    states = [breaker.state]
    assert not breaker.enter()
    now[0] = 10.0
    states.append(breaker.state)
    assert [breaker.enter(), breaker.enter()] == [True, False]
    breaker.fail()
    states.append(breaker.state)
    now[0] = 20.0
    assert breaker.enter()
    breaker.abandon()
    assert breaker.enter()
    breaker.succeed()
    states.append(breaker.state)
    assert states == [State.OPEN, State.HALF_OPEN, State.OPEN, State.CLOSED]


def test_retry_after_is_obeyed_up_to_a_limit_and_jitter_is_full() -> None:
    backoff = Backoff(base_seconds=1, max_seconds=4, retry_after_max_seconds=20)
    plain = ProviderUnavailable("")
    waits = [backoff.seconds(5, plain) or 0.0 for _ in range(400)]
    assert 0 <= min(waits) < 0.4
    assert 3.6 < max(waits) <= 4
    assert backoff.seconds(1, ProviderUnavailable("", retry_after_seconds=7)) == 7
    assert backoff.seconds(1, ProviderUnavailable("", retry_after_seconds=21)) is None


def test_a_call_waits_as_long_as_the_provider_says() -> None:
    with (
        ProviderSimulator(Failure(status=429, retry_after="1"), Answer("now")) as main,
        simulated(OFFLINE, main=main, backoff=QUICK) as (gateway, _),
        gateway.for_job(RecordingContext()).chat(CHAT, asked()) as stream,
    ):
        began = time.monotonic()
        assert [chunk.text for chunk in stream] == ["now"]
        assert time.monotonic() - began >= 1


def test_a_cancellation_ends_the_wait() -> None:
    with (
        ProviderSimulator(Failure(status=429, retry_after="2")) as main,
        simulated(OFFLINE, main=main) as (gateway, _),
    ):
        ctx = RecordingContext()

        def cancel_once_refused() -> None:
            if ctx.usage:
                raise JobCancelled

        ctx.on_check = cancel_once_refused
        with pytest.raises(JobCancelled), gateway.for_job(ctx).chat(CHAT, asked()) as stream:
            list(stream)
        assert len(main.requests) == 1


def test_no_wait_passes_the_deadline() -> None:
    with (
        ProviderSimulator(Failure(status=429, retry_after="2")) as main,
        simulated(OFFLINE, main=main) as (gateway, _),
    ):
        ctx = RecordingContext()
        ctx.deadline_at = utc_now() + timedelta(seconds=1)
        with pytest.raises(ProviderUnavailable), gateway.for_job(ctx).chat(CHAT, asked()) as stream:
            list(stream)
        assert len(main.requests) == 1


def test_a_model_is_not_asked_for_what_it_cannot_do() -> None:
    gateway = open_gateway(OFFLINE)
    models = gateway.for_job(RecordingContext())
    wanted = {
        "tools": asked(tools=(ToolSpec("look", "Looks.", {"type": "object"}),)),
        "json_schema": asked(output_schema={"type": "object"}),
        "vision": asked().of_parts((Image("image/png", b"\x89PNG"),)),
    }
    for ability, request in wanted.items():
        with pytest.raises(CapabilityFailure, match=ability) as raised, models.chat(CHAT, request):
            pass
        assert raised.value.code == "model_lacks_ability"
    with pytest.raises(ModelUnknown, match="local/extractive"), models.chat("nobody", asked()):
        pass
    gateway.close()


def test_data_goes_only_to_models_that_may_see_it() -> None:
    with ProviderSimulator(Answer("seen")) as main, simulated(OFFLINE, main=main) as (gateway, simulators):
        simulators.models["main"] = replace(simulators.models["main"], data_class_ceiling="internal")
        secret = RecordingContext()
        secret.data_class = DataClass.CONFIDENTIAL
        with (
            pytest.raises(CapabilityFailure, match="internal") as raised,
            gateway.for_job(secret).chat(CHAT, asked()),
        ):
            pass
        assert raised.value.code == "model_data_class"
        with gateway.for_job(RecordingContext()).chat(CHAT, asked()) as stream:
            list(stream)
        assert not may_see(simulators.models["main"], "unheard-of")
    assert len(main.requests) == 1


def test_the_next_model_is_asked_where_the_first_may_not_see_the_data() -> None:
    with (
        ProviderSimulator(Answer("no")) as main,
        ProviderSimulator(Answer("seen")) as other,
        simulated(OFFLINE, main=main, other=other) as (gateway, simulators),
    ):
        simulators.models["main"] = replace(
            simulators.models["main"], data_class_ceiling="internal", fallbacks=("other", "main")
        )
        ctx = RecordingContext(data_class=DataClass.CONFIDENTIAL)
        with gateway.for_job(ctx).chat(CHAT, asked()) as stream:
            assert "".join(chunk.text for chunk in stream) == "seen"
        assert stream.model.model == simulators.models["other"].model
        ctx.raise_class(DataClass.RESTRICTED, "card")
        simulators.models["other"] = replace(simulators.models["other"], data_class_ceiling="confidential")
        with pytest.raises(CapabilityFailure) as raised, gateway.for_job(ctx).chat(CHAT, asked()):
            pass
        assert raised.value.code == "model_data_class"
        for named in ("restricted", "up to internal", "up to confidential"):
            assert named in raised.value.detail
    assert (len(main.requests), len(other.requests)) == (0, 1)


def test_an_identical_request_is_answered_from_the_cache_at_no_cost(settings: Settings) -> None:
    first, other = RecordingContext(), RecordingContext()
    cached = settings.model_copy(update={"model_cache_projects": [first.project_id]})
    with ProviderSimulator(Answer("once", " only")) as main, simulated(cached, main=main) as (gateway, _):
        said = []
        for ctx in (first, replace_job(first), other, other):
            with gateway.for_job(ctx).chat(CHAT, asked()) as stream:
                said.append("".join(chunk.text for chunk in stream))
        with gateway.for_job(first).chat(CHAT, asked("Something else?")) as stream:
            list(stream)
        secret = replace_job(first)
        secret.data_class = DataClass.CONFIDENTIAL
        with gateway.for_job(secret).chat(CHAT, asked()) as stream:
            list(stream)
        # One for the project with a cache, two for the one without, one for other words, one that may not be kept.
        assert len(main.requests) == 5
        assert said == ["once only"] * 4


def replace_job(ctx: RecordingContext) -> RecordingContext:
    """Another job of the same project."""
    return RecordingContext(organization_id=ctx.organization_id, project_id=ctx.project_id)


def test_texts_are_embedded_through_the_gateway_and_metered() -> None:
    gateway = open_gateway(OFFLINE)
    ctx = RecordingContext()
    reported: list[tuple[int, int]] = []
    texts = [f"parcel number {number}" for number in range(40)]
    vectors = gateway.for_job(ctx).embed(
        EMBEDDING, texts, on_progress=lambda done, total: reported.append((done, total))
    )
    assert vectors.shape == (40, 384)
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    embedder = gateway.embedder()
    expected = sum(embedder.count_tokens(text) for text in texts)
    assert [(usage.model, dict(usage.quantities)) for usage in ctx.usage] == [(MINILM, {"embedding_tokens": expected})]
    assert reported == [(32, 40), (40, 40)]
    assert gateway.for_job(ctx).embed(EMBEDDING, []).shape == (0, 384)
    gateway.close()


def test_a_request_has_the_same_digest_only_when_all_of_it_is_the_same() -> None:
    with ProviderSimulator() as main, simulated(OFFLINE, main=main) as (_, simulators):
        model = simulators.models["main"]
        requests = [
            asked(),
            asked("else"),
            asked(system="You are kind."),
            asked(temperature=0.5),
            asked(max_output_tokens=5),
            asked(stop=("x",)),
            asked(output_schema={"type": "object"}),
            asked(tools=(ToolSpec("look", "Looks.", {"type": "object"}),)),
        ]
        digests = [digest_of(model, request) for request in requests]
        digests.append(digest_of(replace(model, parameters={"top_p": 0.5}), asked()))
        assert len(set(digests)) == len(digests)
        assert digest_of(model, asked()) == digests[0]
        assert json.dumps(digests)
