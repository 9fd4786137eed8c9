"""The SQL of the ledger: calls of the functions that move money, and queries of the rows they write."""

from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from core.keys.principal import Principal
from core.kit.db import Executor, Step
from core.kit.json_values import dumps
from core.kit.money import format_money
from core.ledger.records import CallIdentity, Entry, LostCall, Settlement

_RESERVE = text("SELECT ledger_reserve(:job, :organization, :project, :key, :amount, :cap)")

# The fence is part of the statement: a call that no running attempt owns is not started, and returns no row. The cast
# is explained at `core.jobs.conditions.STATE_OF_NAMED`.
_BEGIN = text("""
WITH owned AS (
  SELECT id FROM jobs WHERE id = :job AND attempt = :attempt AND CAST(state AS text) = 'running' FOR NO KEY UPDATE
)
SELECT ledger_begin_call(:job, :attempt, :call, :bound, :provider, :model, :version, :step) FROM owned
""")

# The job's row is locked before its reservation, as everywhere. The call is metered whichever attempt owns the job by
# now.
_SETTLE = text("""
WITH job AS (
  SELECT id FROM jobs WHERE id = :job FOR NO KEY UPDATE
), settled AS (
  SELECT ledger_settle_call(:job, :attempt, :call, :amount, CAST(:quantities AS jsonb), CAST(:amounts AS jsonb),
    CAST(:price_ids AS uuid[]), :estimated, :reason) AS changed
  FROM (SELECT count(*) FROM job) AS locked
)
UPDATE jobs SET cost_usd = cost_usd + CAST(:amount AS numeric), usage = usage || CAST(:line AS jsonb)
FROM settled WHERE jobs.id = :job AND settled.changed
RETURNING jobs.cost_usd
""")

# The calls that the sweep would settle at their bounds: those whose attempt no longer runs. OFFSET 0 and scalar
# subqueries make the few rows key lookups even without statistics, never a join with a whole month.
_LOST = text("""
SELECT pending.job_id, pending.attempt, pending.call, pending.organization_id, pending.bound_usd, intent.provider,
  intent.model
FROM open_calls AS pending
CROSS JOIN LATERAL (
  SELECT provider, model FROM ledger_entries AS entry
  WHERE entry.job_id = pending.job_id AND entry.attempt = pending.attempt AND entry.call = pending.call
    AND entry.entry = 0 OFFSET 0) AS intent
LEFT JOIN LATERAL (SELECT id, state, attempt FROM jobs WHERE id = pending.job_id OFFSET 0) AS jobs ON true
WHERE pending.opened_at < now() - make_interval(secs => :grace_seconds)
  AND (jobs.id IS NULL OR jobs.state <> 'running' OR jobs.attempt <> pending.attempt)
ORDER BY pending.job_id, pending.attempt, pending.call LIMIT :most
""")
_ANY_OLD = text(
    "SELECT EXISTS (SELECT FROM open_calls"
    " WHERE opened_at < now() - make_interval(secs => CAST(:grace_seconds AS float8)))"
)
_SWEEP = text("SELECT ledger_sweep(:grace_seconds, :most)")
_RELEASE_ENDED = text("""
SELECT ledger_release(ARRAY(
  SELECT root_job_id FROM reservations
  WHERE (SELECT finished_at IS NOT NULL FROM jobs WHERE id = root_job_id) ORDER BY 1 LIMIT :most))
""")
_CORRECT = text("SELECT ledger_correct(:job, :attempt, :call, :amount, :reason)")

_ENTRIES = text("""
SELECT job_id, attempt, call, entry, recorded_at, kind, capability, provider, model, model_version, quantities, amounts,
  bound_usd, amount_usd, estimated, reason, step
FROM ledger_entries WHERE job_id = :job AND project_id = :project ORDER BY attempt, call, entry
""")


def reservation(principal: Principal, job_id: UUID, *, amount_usd: Decimal, cap_usd: Decimal | None) -> Step:
    """The statement that sets `amount_usd` aside for a job, or refuses; `core.ledger.errors.refusal_of` reads it."""
    return (
        _RESERVE,
        {
            "job": job_id,
            "organization": principal.organization_id,
            "project": principal.project_id,
            "key": principal.key_id,
            "amount": amount_usd,
            "cap": cap_usd,
        },
    )


def begin_call(
    executor: Executor,
    call: CallIdentity,
    *,
    bound_usd: Decimal,
    provider: str,
    model: str,
    version: str | None,
    step: str | None,
) -> bool:
    """Write the intent; False when the attempt does not own the job."""
    rows = executor.execute(
        _BEGIN,
        {
            "job": call.job_id,
            "attempt": call.attempt,
            "call": call.number,
            "bound": bound_usd,
            "provider": provider,
            "model": model,
            "version": version,
            "step": step,
        },
    ).all()
    return bool(rows)


def settle_call(executor: Executor, call: CallIdentity, settlement: Settlement, line: dict[str, Any]) -> Decimal | None:
    """Write the settlement and add it to the job; returns the job's cost, or None when it was already settled."""
    return executor.execute(_SETTLE, settlement_of(call, settlement, line)).scalar_one_or_none()


def settlement_of(call: CallIdentity, settlement: Settlement, line: dict[str, Any]) -> dict[str, Any]:
    """The parameters of a statement that calls ``ledger_settle_call`` and appends `line` to the job's usage."""
    quantities = {unit.value: quantity for unit, quantity in settlement.quantities.items()}
    amounts = {unit.value: format_money(amount) for unit, amount in settlement.amounts.items()}
    return {
        "job": call.job_id,
        "attempt": call.attempt,
        "call": call.number,
        "amount": settlement.amount_usd,
        "quantities": dumps(quantities).decode(),
        "amounts": dumps(amounts).decode(),
        "price_ids": list(settlement.price_ids),
        "estimated": settlement.estimated,
        "reason": settlement.reason,
        "line": dumps([line]).decode(),
    }


def any_open_longer(executor: Executor, grace_seconds: float) -> bool:
    """Whether there are calls at all that `lost_calls` and `sweep` would look at."""
    return bool(executor.execute(_ANY_OLD, {"grace_seconds": grace_seconds}).scalar_one())


def lost_calls(executor: Executor, grace_seconds: float, most: int) -> list[LostCall]:
    """Calls that no attempt will settle."""
    rows = executor.execute(_LOST, {"grace_seconds": grace_seconds, "most": most})
    return [LostCall(CallIdentity(*tuple(row)[:3]), *tuple(row)[3:]) for row in rows]


def sweep(executor: Executor, grace_seconds: float, most: int) -> int:
    """Settle calls whose attempt no longer runs; returns how many."""
    return int(executor.execute(_SWEEP, {"grace_seconds": grace_seconds, "most": most}).scalar_one())


def release_ended(session: Session, most: int) -> int:
    """Release what ended jobs still hold; returns how many held something."""
    return int(session.execute(_RELEASE_ENDED, {"most": most}).scalar_one())


def correct(session: Session, call: CallIdentity, amount_usd: Decimal, reason: str) -> int | None:
    """Add a correction; returns its entry's number, None when there is no such settled call."""
    scope = {"job": call.job_id, "attempt": call.attempt, "call": call.number}
    return session.execute(_CORRECT, {**scope, "amount": amount_usd, "reason": reason}).scalar_one_or_none()


def entries(executor: Executor, principal: Principal, job_id: UUID) -> list[Entry]:
    """The job's lines, in the order in which they were written."""
    rows = executor.execute(_ENTRIES, {"job": job_id, "project": principal.project_id})
    return [Entry(*tuple(row)) for row in rows]
