"""Reserve, call, settle, sweep: how a job spends.

Submission sets money aside (`reservation`); `begin_call` writes an intent and extends what is set aside when the call
could pass it; `settle_call` writes the cost of the call; the end of the job releases the rest. Calls that a killed
process leaves open are settled by `sweep`. ``docs/adr/0010-reservation.md`` gives the reasons.
"""

from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from core.audit.actions import AuditAction
from core.audit.record import record
from core.capability import LeaseLost, ModelUsage
from core.keys.principal import Principal
from core.kit.db import Database, Executor
from core.kit.errors import NotFound, Unprocessable
from core.kit.ids import JOB, encode
from core.kit.logging import get_logger
from core.kit.money import ZERO, format_cost, format_money, to_money
from core.ledger import repository
from core.ledger.errors import refusal_of
from core.ledger.prices.cache import PriceCache
from core.ledger.prices.records import Priced
from core.ledger.records import CallIdentity, Entry, Settlement, Unit
from core.ledger.usage_checkpoints import UsageCheckpoints

_log = get_logger(__name__)
_SWEPT_AT_ONCE = 500


def begin_call(
    executor: Executor,
    call: CallIdentity,
    *,
    bound_usd: Decimal,
    provider: str,
    model: str,
    version: str | None = None,
    step: str | None = None,
) -> None:
    """Write the intent of a call that costs at most `bound_usd`, and set aside the missing part of it.

    Raises `BudgetExhausted` when a hard budget or the job's cap has no room, and `LeaseLost` when the attempt does not
    own its job; nothing is written then.
    """
    try:
        is_begun = repository.begin_call(
            executor, call, bound_usd=to_money(bound_usd), provider=provider, model=model, version=version, step=step
        )
    except Exception as error:
        refusal = refusal_of(error)
        if refusal is None:
            raise
        raise refusal from None
    if not is_begun:
        raise LeaseLost


def settle_call(executor: Executor, call: CallIdentity, settlement: Settlement, line: dict[str, Any]) -> Decimal | None:
    """Write the cost of the call, once: a second settlement changes nothing and returns None.

    `line` is appended to the job's usage, as clients see it. Returns the job's cost up to now.
    """
    return repository.settle_call(executor, call, settlement, line)


def sweep(
    database: Database,
    grace_seconds: float,
    *,
    checkpoints: UsageCheckpoints | None = None,
    prices: PriceCache | None = None,
) -> int:
    """Settle calls that no attempt will settle, and release what their jobs then hold; returns how many.

    A call is settled at its last usage checkpoint, never above its bound; without a checkpoint at its bound, or as not
    priced when its model has no price. It is marked as estimated in any case. `grace_seconds` is how long a call may be
    open before its attempt is checked: a fenced worker still settles its own calls, with what the provider reported.
    """
    settled = 0
    if not repository.any_open_longer(database.single_system(), grace_seconds):
        return settled
    if checkpoints is not None and prices is not None:
        settled += _settle_checkpointed(database, grace_seconds, checkpoints, prices)
    settled += repository.sweep(database.single_system(), grace_seconds, _SWEPT_AT_ONCE)
    if settled:
        _log.info("lost_calls_settled", count=settled)
        release_ended(database)
    return settled


def _settle_checkpointed(
    database: Database, grace_seconds: float, checkpoints: UsageCheckpoints, prices: PriceCache
) -> int:
    single = database.single_system()
    lost = {each.call: each for each in repository.lost_calls(single, grace_seconds, _SWEPT_AT_ONCE)}
    settled = []
    counted = checkpoints.read(list(lost))
    for call, each in lost.items():
        quantities = {unit: amount for unit, amount in counted.get(call, {}).items() if amount}
        priced = prices.price(single, each.organization_id, each.provider, each.model, quantities)
        if call not in counted:
            # The bound is the most it may have cost, unless its model has no price: then 0 would look like a free call.
            if priced.is_known or each.bound_usd:
                continue
            quantities = {Unit.INPUT_TOKENS: 0}
        if priced.amount_usd > each.bound_usd:
            continue
        settlement = Settlement(
            amount_usd=priced.amount_usd,
            quantities=quantities,
            amounts=priced.amounts,
            price_ids=priced.price_ids,
            estimated=True,
            reason="worker_lost",
        )
        usage = ModelUsage(each.model, {unit.value: amount for unit, amount in quantities.items()}, estimated=True)
        settle_call(single, call, settlement, usage_line(call, usage, priced))
        settled.append(call)
    checkpoints.update({}, settled)
    return len(settled)


def usage_line(call: CallIdentity, used: ModelUsage, priced: Priced) -> dict[str, Any]:
    """A settled call as clients see it: a line of the job's `usage`, and the data of ``cost.updated``."""
    return {
        "model": used.model,
        "attempt": call.attempt,
        "call": call.number,
        "input_tokens": used.input_tokens,
        "output_tokens": used.output_tokens,
        "quantities": {kind: amount for kind, amount in used.quantities.items() if amount},
        "cost_usd": format_cost(priced.amount_usd, priced=priced.is_known),
        "estimated": used.estimated,
        "priced": priced.is_known,
    }


def release_ended(database: Database) -> int:
    """Release what ended jobs still hold; returns how many held something.

    A job releases what it holds when it ends, and a swept one in its sweep: this catches the rest.
    """
    with database.system() as session:
        return repository.release_ended(session, _SWEPT_AT_ONCE)


def correct(session: Session, call: CallIdentity, amount_usd: Decimal, reason: str) -> int:
    """Add `amount_usd`, which may be negative, to the cost of a settled call; returns the number of the new entry.

    Raises `NotFound` when no such call was settled.
    """
    number = repository.correct(session, call, to_money(amount_usd), reason)
    if number is None:
        raise NotFound("there is no settled call of that number", code="call_not_found")
    return number


def correct_for(session: Session, principal: Principal, call: CallIdentity, amount_usd: Decimal, reason: str) -> int:
    """`correct`, on behalf of `principal`, with an audit record. The caller must have checked that the job is theirs.

    Raises `Unprocessable` for a correction that would make the call's cost negative.
    """
    number = correct(session, call, amount_usd, reason)
    lines = repository.entries(session, principal, call.job_id)
    cost_usd = sum(
        (line.amount_usd for line in lines if (line.attempt, line.call) == (call.attempt, call.number)), ZERO
    )
    if cost_usd < 0:
        message = f"the call would cost {format_money(cost_usd)}; take away at most what it cost"
        raise Unprocessable(message, errors=[{"path": "body.amount_usd", "code": "below_zero", "message": message}])
    record(
        session,
        principal.organization_id,
        principal.project_id,
        AuditAction.LEDGER_CORRECT,
        subject_id=encode(JOB, call.job_id),
        actor=principal.actor,
        attempt=call.attempt,
        detail={"call": call.number, "entry": number, "amount_usd": format_money(amount_usd)},
    )
    return number


def entries_of(executor: Executor, principal: Principal, job_id: UUID) -> list[Entry]:
    """The ledger's lines of a job: intents, settlements and corrections."""
    return repository.entries(executor, principal, job_id)
