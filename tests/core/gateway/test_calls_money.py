"""Whatever happens to a call, the ledger says what the provider bills, or says that it estimates."""

from collections.abc import Iterator
from decimal import Decimal

import pytest
from sqlalchemy import event

from core.capability import JobCancelled
from core.gateway.errors import BadResponse, GatewayError, ProviderUnavailable
from core.gateway.routing import CHAT
from core.kit.ids import JOB, encode
from core.kit.settings import Settings
from core.ledger.invariants import check_invariants
from tests.factories.attempts import attempt
from tests.factories.calls import Caller, asked, billed, cost_of, simulated
from tests.factories.jobs import new_tenant
from tests.factories.provider_simulator import Answer, Failure, ProviderSimulator, Tokens

DELTAS = tuple(f" word{number}" for number in range(12))
CUTS = range(len(DELTAS))


@pytest.fixture
def caller(settings: Settings) -> Iterator[Caller]:
    tenant = new_tenant(settings)
    made = Caller(tenant, settings)
    made.price("main", "spare")
    yield made
    with tenant.database.system() as session:
        assert [str(each) for each in check_invariants(session)] == []
    tenant.close()


def assert_within(ledger: Tokens, bill: Tokens, *, estimated: bool) -> None:
    if estimated:
        assert abs(cost_of(ledger) - cost_of(bill)) <= cost_of(bill) * 5 / 100
    else:
        assert ledger == bill


@pytest.mark.survive("P5")
def test_a_stream_cut_at_every_chunk_costs_what_the_provider_bills(settings: Settings, caller: Caller) -> None:
    for cut in CUTS:
        with (
            ProviderSimulator(Answer(*DELTAS, cut_after=cut)) as provider,
            simulated(settings, main=provider, max_attempts=1) as (gateway, _),
            caller.job() as job,
        ):
            with (
                pytest.raises(GatewayError),
                gateway.for_job(job.context).chat(CHAT, asked()) as stream,
            ):
                list(stream)
            assert provider.requests[0].finished.wait(5)
            (line,) = caller.settled(job.context.job_id)
            assert_within(billed([line]), provider.bill(), estimated=line.estimated)
            job.fail("cut")


@pytest.mark.survive("P5")
def test_a_call_cancelled_at_every_chunk_costs_what_the_provider_bills(settings: Settings, caller: Caller) -> None:
    for seen in CUTS:
        with (
            ProviderSimulator(Answer(*DELTAS, hold_after=seen)) as provider,
            simulated(settings, main=provider) as (gateway, _),
            caller.job() as job,
        ):
            with gateway.for_job(job.context).chat(CHAT, asked()) as stream:
                for _ in range(seen):
                    next(stream)
                if seen:
                    assert provider.requests[0].held.wait(5)
                job.context.ask_to_cancel()
                with pytest.raises(JobCancelled):
                    next(stream)
            lines = caller.settled(job.context.job_id)
            if provider.requests:
                # The provider stopped, because the gateway hung up.
                assert provider.requests[0].finished.wait(5)
                assert provider.requests[0].client_closed
            for line in lines:
                assert_within(billed([line]), provider.bill(), estimated=line.estimated)
            assert len(lines) == len(provider.requests)
            job.stop()


def test_a_block_that_is_left_early_closes_the_providers_stream_and_is_metered(
    settings: Settings, caller: Caller
) -> None:
    with (
        ProviderSimulator(Answer(*DELTAS, hold_after=3)) as provider,
        simulated(settings, main=provider) as (gateway, _),
        caller.job() as job,
    ):
        with gateway.for_job(job.context).chat(CHAT, asked()) as stream:
            said = [next(stream).text for _ in range(3)]
        assert provider.requests[0].finished.wait(5)
        assert provider.requests[0].client_closed
        (line,) = caller.settled(job.context.job_id)
        assert said == list(DELTAS[:3])
        assert line.estimated
        assert_within(billed([line]), provider.bill(), estimated=True)


@pytest.mark.survive("P6")
def test_every_attempt_that_is_billed_is_a_line_and_the_job_shows_their_sum(settings: Settings, caller: Caller) -> None:
    cut = Answer(*DELTAS, cut_after=0)
    with (
        ProviderSimulator(cut, Failure(status=503), Answer(*DELTAS)) as provider,
        simulated(settings, main=provider) as (gateway, _),
        caller.job() as job,
    ):
        with gateway.for_job(job.context).chat(CHAT, asked()) as stream:
            assert "".join(chunk.text for chunk in stream) == "".join(DELTAS)
        lines = caller.settled(job.context.job_id)
        assert [bool(line.quantities) for line in lines] == [True, False, True]
        assert len(lines) == len(provider.requests) == 3
        assert_within(billed(lines), provider.bill(), estimated=True)
        assert caller.tenant.job(job.context.job_id).cost_usd == cost_of(billed(lines))


@pytest.mark.survive("P6")
def test_layers_of_retries_add_up_and_never_multiply(settings: Settings, caller: Caller) -> None:
    """The SDK, the gateway, a framework that tries three times, and three attempts of the job."""
    with (
        ProviderSimulator(Failure(status=503)) as provider,
        simulated(settings, main=provider, max_attempts=3) as (gateway, _),
    ):
        job_id = caller.tenant.submit()
        for number in range(3):
            with attempt(settings, encode(JOB, job_id)) as job:
                for _ in range(3):
                    with (
                        pytest.raises(ProviderUnavailable),
                        gateway.for_job(job.context).chat(CHAT, asked()) as stream,
                    ):
                        list(stream)
                job.requeue() if number < 2 else job.fail("provider_unavailable")
        assert len(provider.requests) == 3 + 1 + 1
        assert len(caller.settled(job_id)) == len(provider.requests)
        assert billed(caller.settled(job_id)) == provider.bill() == Tokens(0, 0)


def test_nothing_is_tried_again_once_text_has_come(settings: Settings, caller: Caller) -> None:
    with (
        ProviderSimulator(Answer(*DELTAS, cut_after=1)) as provider,
        ProviderSimulator(Answer("never")) as spare,
        simulated(settings, main=provider, spare=spare) as (gateway, _),
        caller.job() as job,
    ):
        with pytest.raises(BadResponse), gateway.for_job(job.context).chat(CHAT, asked()) as stream:
            list(stream)
        assert (len(provider.requests), len(spare.requests)) == (1, 0)


def test_a_call_costs_two_round_trips_to_postgres_and_an_event(settings: Settings, caller: Caller) -> None:
    with (
        ProviderSimulator(Answer(*DELTAS)) as provider,
        simulated(settings, main=provider) as (gateway, _),
        caller.job() as job,
    ):
        models = gateway.for_job(job.context)

        def call() -> None:
            with models.chat(CHAT, asked()) as stream:
                list(stream)

        call()
        job.context.wait_settled()
        database = job.context._database
        taken: list[object] = []

        def note(*arguments: object) -> None:
            taken.append(arguments)

        event.listen(database.engine, "checkout", note)
        call()
        job.context.wait_settled()
        event.remove(database.engine, "checkout", note)
        # The intent; and the settlement with the kept event `cost.updated`.
        assert len(taken) == 2


def test_an_answer_from_the_cache_is_a_line_that_costs_nothing(settings: Settings, caller: Caller) -> None:
    project_id = caller.tenant.principal.project_id
    cached = settings.model_copy(update={"model_cache_projects": [project_id]})
    with (
        ProviderSimulator(Answer(*DELTAS)) as provider,
        simulated(cached, main=provider) as (gateway, _),
        caller.job() as job,
    ):
        for _ in range(2):
            with gateway.for_job(job.context).chat(CHAT, asked()) as stream:
                assert "".join(chunk.text for chunk in stream) == "".join(DELTAS)
        paid, free = caller.settled(job.context.job_id)
        assert (free.amount_usd, free.reason, free.estimated) == (Decimal(0), "cache", False)
        assert not free.quantities
        assert billed([paid, free]) == provider.bill()
        assert len(provider.requests) == 1
