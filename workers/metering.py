"""The money of a running attempt: every model call is opened with a maximum, and settled with its actual usage."""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

from core.audit.actions import AuditAction
from core.audit.record import Actor, record
from core.capability import JobSuspended, ModelRef, ModelUsage
from core.jobs.records import JobRecord
from core.jobs.states import Reason
from core.keys.principal import Principal
from core.kit.db import Database
from core.kit.errors import CapabilityFailure
from core.kit.ids import JOB, encode
from core.kit.logging import get_logger
from core.kit.metrics.models import ModelLabels
from core.kit.metrics.money import observe_spend
from core.kit.money import format_money
from core.ledger import service as ledger
from core.ledger.errors import BudgetExhausted
from core.ledger.prices.cache import PriceCache
from core.ledger.records import CallIdentity, Settlement, Unit
from core.ledger.room import is_bounded
from workers.settlements import Settlements
from workers.usage_checkpoints import UsageCheckpointWriter

LOCAL = "local"
# Writes a call's cost: to the ledger, and as the event that clients see.
Settle = Callable[[CallIdentity, Settlement, dict[str, Any]], None]
_log = get_logger(__name__)


class OpenCall:
    """Implements `core.capability.ModelCall`."""

    def __init__(self, identity: CallIdentity, checkpoints: UsageCheckpointWriter | None) -> None:
        self.usage: ModelUsage | None = None
        self._hear: Callable[[Decimal | None], None] | None = None
        self._identity = identity
        self._checkpoints = checkpoints

    def report(self, usage: ModelUsage) -> None:
        """Record the consumption so far."""
        self.usage = usage

    def when_settled(self, hear: Callable[[Decimal | None], None]) -> None:
        """See `core.capability.ModelCall.when_settled`."""
        self._hear = hear

    def checkpoint_usage(self, count: Callable[[], Mapping[str, int]]) -> None:
        """Write a usage checkpoint from another thread."""
        if self._checkpoints is not None:
            self._checkpoints.change(self._identity, count)

    def close(self) -> None:
        """Mark the call as settled."""
        if self._checkpoints is not None:
            self._checkpoints.settle(self._identity)

    def announce(self, cost_usd: Decimal | None) -> None:
        """Emit its cost, if it is known."""
        if self._hear is not None:
            self._hear(cost_usd)


class Meter:
    """Opens and settles the calls of one attempt. Safe in threads."""

    def __init__(
        self,
        job: JobRecord,
        database: Database,
        prices: PriceCache,
        settlements: Settlements,
        checkpoints: UsageCheckpointWriter | None = None,
    ) -> None:
        self._job = job
        self._single = database.single_tenant(job.organization_id)
        self._prices = prices
        self._settlements = settlements
        self._checkpoints = checkpoints
        self._calls = 0
        self._lock = threading.Lock()

    @contextmanager
    def call(
        self, asked: str | ModelRef, bound: Mapping[str, int], step: str | None, settle: Settle
    ) -> Iterator[OpenCall]:
        """A call of the model `asked`; after the block, `settle` writes its cost.

        A successful call is settled in the background (`workers.settlements`), a failed one before its error is raised
        again. Raises `LeaseLost`, and, when there is no money for `bound`, `JobSuspended` or `CapabilityFailure`.
        """
        # This call may need the money that the previous one releases.
        self._settlements.wait()
        ref = asked if isinstance(asked, ModelRef) else ModelRef(provider_of(asked), asked)
        provider, model = ref.provider, ref.name
        with self._lock:
            self._calls += 1
            identity = CallIdentity(self._job.id, self._job.attempt, self._calls)
        most = self._prices.bound(self._single, self._job.organization_id, provider, model, _by_unit(bound))
        if not most.is_known:
            self._require_unbounded(provider, model)
        try:
            ledger.begin_call(
                self._single,
                identity,
                bound_usd=most.amount_usd,
                provider=provider,
                model=model,
                version=ref.version,
                step=step,
            )
        except BudgetExhausted as refusal:
            self._record(refusal, identity, model)
            if refusal.on_exhaustion == "pause":
                _log.info("job_waits_for_budget", budget_id=refusal.extra.get("budget"))
                # While waiting, the job releases its other reservations: it resumes only with the call's whole bound.
                wanted_usd = format_money(most.amount_usd)
                why = {"code": refusal.code, "message": refusal.detail, "wanted_usd": wanted_usd}
                raise JobSuspended(Reason.BUDGET, why) from None
            raise CapabilityFailure(refusal.detail, code=refusal.code) from None
        opened = OpenCall(identity, self._checkpoints)

        def write() -> None:
            used = opened.usage or ModelUsage(model, bound, estimated=True)
            cost_usd = None
            try:
                settlement, line = self._settlement(identity, provider, used, was_reported=opened.usage is not None)
                settle(identity, settlement, line)
                cost_usd = settlement.amount_usd if line["priced"] else None
                opened.close()
            finally:
                opened.announce(cost_usd)
            self._count(ref, settlement)

        try:
            yield opened
        except BaseException:
            write()
            raise
        self._settlements.write_behind(write)

    def _count(self, ref: ModelRef, settlement: Settlement) -> None:
        job = self._job
        observe_spend(
            job.organization_id,
            job.capability,
            ref.labels or ModelLabels.of(ref.provider, ref.provider, ref.name, None),
            {unit.value: amount for unit, amount in settlement.quantities.items()},
            settlement.amount_usd,
            is_priced=settlement.quantities.keys() <= settlement.amounts.keys(),
        )

    def _require_unbounded(self, provider: str, model: str) -> None:
        """Refuse a call of unknown price under a hard limit, where it would count as zero."""
        job = self._job
        spender = Principal(job.organization_id, job.project_id, job.key_id, frozenset())
        if is_bounded(self._single, spender, job.id, job.root_id):
            raise CapabilityFailure(
                f"the model {model} has no price, so that neither a hard budget nor max_cost_usd could hold; set one"
                f" with `waybill prices set {provider} {model} input_tokens USD`, and one for output_tokens (or 0)",
                code="price_unknown",
            )

    def _record(self, refusal: BudgetExhausted, call: CallIdentity, model: str) -> None:
        budget = {name: refusal.extra[name] for name in ("budget", "limit", "spent", "reserved", "wanted")}
        record(
            self._single,
            self._job.organization_id,
            self._job.project_id,
            AuditAction.POLICY_DECIDE,
            subject_id=encode(JOB, self._job.id),
            actor=Actor("worker"),
            attempt=call.attempt,
            detail={
                "policy": "budget",
                "decision": refusal.on_exhaustion,
                "model": model,
                "call": call.number,
                **budget,
            },
        )

    def _settlement(
        self, identity: CallIdentity, provider: str, used: ModelUsage, *, was_reported: bool
    ) -> tuple[Settlement, dict[str, Any]]:
        """The call's cost, for the ledger and as clients see it."""
        quantities = {unit: amount for unit, amount in _by_unit(used.quantities).items() if amount}
        priced = self._prices.price(self._single, self._job.organization_id, provider, used.model, quantities)
        settlement = Settlement(
            amount_usd=priced.amount_usd,
            quantities=quantities,
            amounts=priced.amounts,
            price_ids=priced.price_ids,
            estimated=used.estimated,
            reason=used.reason if was_reported else "nothing_reported",
        )
        return settlement, ledger.usage_line(identity, used, priced)


def provider_of(model: str) -> str:
    """The model's provider: ``local`` for embedded models, named ``local/…``; otherwise the configured endpoint."""
    return LOCAL if model.startswith(f"{LOCAL}/") else "openai-compatible"


def _by_unit(quantities: Mapping[str, int]) -> dict[Unit, int]:
    return {Unit(kind): amount for kind, amount in quantities.items()}
