"""Jobs and calls that have ended, added to the roll-ups without having run."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from uuid import UUID

from core.kit.db import Database
from core.kit.ids import JOB, encode, new_id
from core.kit.money import ZERO
from core.kit.settings import Settings
from core.ledger import service as ledger
from core.ledger.records import CallIdentity, Settlement, Unit
from core.rollups import writing
from core.rollups.collect import sum_calls, sum_costs, sum_jobs
from core.rollups.records import CallGroup, EndedJob, SettledCall
from tests.factories.attempts import attempt
from tests.factories.jobs import Tenant


def ended(organization_id: UUID, project_id: UUID, at: datetime, **given: object) -> EndedJob:
    """A search that succeeded after 0.2 s, half a second after it was due."""
    facts = {
        "capability": "knowledge.search",
        "state": "succeeded",
        "waited": 0.5,
        "ran": 0.2,
        "failures": 0,
        "outages": 0,
        "cost_usd": ZERO,
        "tree_usd": ZERO,
        "is_priced": True,
        "is_shadow": False,
        "model": "",
        "size_bytes": 100,
        "open_calls": 0,
    }
    return EndedJob(new_id(), organization_id, project_id, finished_at=at, **{**facts, **given})  # type: ignore[arg-type]


def settled(organization_id: UUID, project_id: UUID, at: datetime, usd: str = "0.01", **given: object) -> SettledCall:
    """A call of ``gpt-4o`` that took a second; `given` are fields of the call or of its group."""
    group = {
        "key_id": None,
        "capability": "knowledge.search",
        "provider": "openai",
        "model": "gpt-4o",
        "model_version": None,
    }
    group |= {name: given.pop(name) for name in tuple(given) if name in group}  # type: ignore[misc]
    call = {
        "seconds": 1.0,
        "quantities": {"input_tokens": 100, "output_tokens": 10},
        "is_estimated": False,
        "is_lost": False,
        "is_unpriced": False,
        "is_correction": False,
    }
    named = CallGroup(organization_id, project_id, **group)  # type: ignore[arg-type]
    return SettledCall(named, at, amount_usd=Decimal(usd), **{**call, **given})  # type: ignore[arg-type]


def add(settings: Settings, jobs: Sequence[EndedJob] = (), calls: Iterable[SettledCall] = ()) -> None:
    """Add them up, as the periodic task does."""
    database = Database(settings, application_name="test-rollups", pool_size=1)
    try:
        with database.system() as session:
            writing.add_jobs(session, sum_jobs(jobs))
            writing.add_calls(session, sum_calls(calls))
            writing.add_costs(session, sum_costs(jobs))
    finally:
        database.close()


def every(step: timedelta, begins: datetime, count: int) -> list[datetime]:
    """`count` moments from `begins` on, `step` apart."""
    return [begins + step * number for number in range(count)]


def spend(settings: Settings, tenant: Tenant, *, cap: str, amount: str) -> None:
    """A job that sets `cap` aside, calls one model for `amount` and succeeds, through the ledger itself."""
    job_id = tenant.submit(max_cost_usd=Decimal(cap), reserve_usd=Decimal(cap))
    with attempt(settings, encode(JOB, job_id)) as driven:
        single = tenant.database.single_tenant(tenant.principal.organization_id)
        call = CallIdentity(job_id, 1, 1)
        ledger.begin_call(single, call, bound_usd=Decimal(amount), provider="p", model="m", version=None, step=None)
        priced = {Unit.INPUT_TOKENS: Decimal(amount)}
        settlement = Settlement(amount_usd=Decimal(amount), quantities={Unit.INPUT_TOKENS: 100}, amounts=priced)
        ledger.settle_call(single, call, settlement, {"model": "m", "cost_usd": amount, "priced": True})
        driven.succeed(done=True)
