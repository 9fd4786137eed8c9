"""A process that dies in the middle of an answer: what the provider bills for it is what the ledger says, or nearly."""

from decimal import Decimal
from pathlib import Path
from time import sleep
from uuid import UUID

import pytest
from redis import Redis
from sqlalchemy import text

from core.kit.redis import connect
from core.kit.settings import Settings
from tests.factories.jobs import Tenant
from tests.factories.processes import dispatcher, worker
from tests.factories.provider_simulator import Answer, ProviderSimulator, Recorded
from tests.factories.registered import INPUT_USD, OUTPUT_USD, Registrar, set_prices, write_deployments
from tests.factories.waiting import wait_until

WORDS = ("One", " two", " three", " four", " five", " six", " seven", " eight")


def lost_lines(tenant: Tenant, job_id: UUID) -> list[tuple[dict[str, int], Decimal, Decimal, bool, str]]:
    with tenant.database.tenant(tenant.principal.organization_id) as session:
        rows = session.execute(
            text(
                "SELECT quantities, amount_usd, bound_usd, estimated, reason FROM ledger_entries"
                " WHERE job_id = :id AND attempt = 1 AND kind = 'settlement'"
            ),
            {"id": job_id},
        )
        return [tuple(row) for row in rows]


def held_after(request: Recorded) -> int:
    """The number at the end of what was asked: after how many chunks the provider holds still."""
    return int(request.body["messages"][-1]["content"].rpartition(" ")[2])


def usage_checkpoints(redis: Redis, settings: Settings) -> list[str]:
    return [str(key) for key in redis.scan_iter(match=settings.key("call", "*"), count=1000)]


@pytest.mark.survive("P7")
@pytest.mark.timeout(180)
def test_killed_at_any_chunk_the_ledger_says_what_the_provider_bills(
    tenant: Tenant, settings: Settings, tmp_path: Path
) -> None:
    settings = settings.model_copy(update={"lease_seconds": 4.0, "heartbeat_seconds": 1.0})
    redis = connect(settings)
    with ProviderSimulator(lambda request: Answer(*WORDS, hold_after=held_after(request))) as provider:
        file = write_deployments(tmp_path, there=provider)
        registrar = Registrar(settings.model_copy(update={"deployments_file": file}), tenant)
        registrar.model("writer", {"deployment": "there"})
        set_prices(tenant, "writer")
        places = range(len(WORDS))
        with worker(settings, "probe", len(places), WAYBILL_DEPLOYMENTS_FILE=str(file)) as process:
            with dispatcher(settings):
                jobs = {
                    place: tenant.submit("ask", model="writer", note=f"Count and stop after {place}", max_attempts=1)
                    for place in places
                }
                wait_until(
                    lambda: (
                        len(provider.requests) == len(places)
                        and all(request.held.is_set() for request in provider.requests)
                    ),
                    timeout_seconds=40,
                    what="every answer to stand still",
                )
                # What arrived in the last moment dies with the process; and the first count loads a tokenizer.
                wait_until(
                    lambda: len(usage_checkpoints(redis, settings)) == len(places) - 1, timeout_seconds=20, what="notes"
                )
                sleep(0.5)
                process.kill()
                assert all(request.finished.wait(10) for request in provider.requests)
                tenant.wait(*jobs.values(), timeout_seconds=60)
                wait_until(
                    lambda: all(lost_lines(tenant, job_id) for job_id in jobs.values()),
                    timeout_seconds=30,
                    what="the sweep",
                )
            assert usage_checkpoints(redis, settings) == []
        billed = {held_after(request): request.billed for request in provider.requests}
    for place, job_id in jobs.items():
        ((quantities, amount, bound, estimated, reason),) = lost_lines(tenant, job_id)
        assert (estimated, reason) == (True, "worker_lost")
        if place == 0:
            # Nothing had come: what the provider did until then is not known, so it is the most that it can be.
            assert (amount, quantities) == (bound, {})
            continue
        assert quantities.get("output_tokens", 0) == billed[place].output == place
        # The input is counted with another model's tokenizer here; the answer is what differs from place to place.
        cost = billed[place].input * INPUT_USD + billed[place].output * OUTPUT_USD
        assert abs(amount - cost) <= cost * Decimal("0.05"), (place, quantities, billed[place])
        assert tenant.job(job_id).cost_usd == amount
    redis.close()
