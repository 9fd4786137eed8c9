"""Creates jobs for lines, a portion at a time, and counts those that have ended.

One portion is one transaction: jobs, their assignment to lines, counts. A kill anywhere leaves all of it or nothing.
The batch's cap is enforced here: a line starts only when the settled cost, the maximum cost of live lines and its own
maximum fit under the cap, and the ledger holds its job to its share.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from uuid import UUID

from sqlalchemy.orm import Session

from core.batches import repository, work
from core.batches.records import BatchState, LineError, LineState
from core.batches.work import OpenBatch, QueuedLine
from core.capability import Manifest
from core.jobs.records import JobRecord, NewJob, declared_class
from core.jobs.service import JobService
from core.keys.errors import KeyRevoked, NotAMember
from core.keys.principal import Principal
from core.kit.db import Database
from core.kit.errors import RateLimited, WaybillError
from core.kit.logging import get_logger
from core.kit.money import ZERO, format_money
from core.ledger.errors import BudgetExhausted
from core.limits.errors import QuotaExceeded

# Small portions: the project's budgets and quotas are locked until the portion is committed.
PORTION = 25
_DELAY_SECONDS, _DELAY_MAX_SECONDS = 2.0, 30.0
_STATES = (BatchState.IN_PROGRESS, BatchState.CANCELLING)
_log = get_logger(__name__)


@dataclass(slots=True)
class Round:
    """The result of a round: lines settled or ended, and created jobs, which are still to be published."""

    moved: int = 0
    made: list[JobRecord] = field(default_factory=list)


def submit_lines(database: Database, jobs: JobService, offered: Mapping[str, Manifest], window: int) -> Round:
    """Feed a portion of every open batch, with at most `window` live lines each.

    A batch that fails is logged and retried in the next round; the others are not held up.
    """
    done = Round()
    with database.system() as session:
        found = work.open_batches(session, _STATES)
    for batch_id, organization_id in found:
        try:
            with database.tenant(organization_id) as session:
                if work.take(session, batch_id):
                    each = _advance(session, jobs, offered, window, organization_id, batch_id)
                else:
                    continue
            done.moved += each.moved
            done.made += each.made
        except Exception:  # noqa: BLE001 - whatever is wrong with this one, the others are to go on
            _log.exception("batch_not_fed", batch_id=str(batch_id))
    return done


def _advance(  # noqa: PLR0917 - one call, a few lines above
    session: Session,
    jobs: JobService,
    offered: Mapping[str, Manifest],
    window: int,
    organization_id: UUID,
    batch_id: UUID,
) -> Round:
    batch = work.read(session, organization_id, batch_id, lock=True)
    if batch.state not in _STATES:
        return Round()
    done = Round(work.settle(session, batch_id))
    if batch.state is BatchState.IN_PROGRESS and batch.is_late:
        message = "the batch's deadline passed before this line was started"
        done.moved += repository.end_queued(
            session, organization_id, batch_id, LineState.EXPIRED, LineError.DEADLINE, message
        )
    elif batch.state is BatchState.IN_PROGRESS:
        try:
            caller = batch.acting()
        except (KeyRevoked, NotAMember) as gone:
            done.moved += repository.end_queued(
                session, organization_id, batch_id, LineState.FAILED, LineError(gone.code), gone.detail
            )
        else:
            if batch.is_due:
                if done.moved:
                    batch = work.read(session, organization_id, batch_id, lock=False)
                fed = _Portion(session, jobs, offered, batch, caller).feed(window)
                done.moved += fed.moved
                done.made += fed.made
    if done.moved or batch.settled == batch.total:
        work.finalize(session, batch_id, _outcome(session, batch))
    return done


def _outcome(session: Session, batch: OpenBatch) -> BatchState:
    if batch.state is BatchState.CANCELLING:
        return BatchState.CANCELLED
    return BatchState.EXPIRED if batch.is_late and work.any_expired(session, batch.id) else BatchState.COMPLETED


class _Portion:
    """One portion of one batch, in a transaction that holds it."""

    def __init__(
        self,
        session: Session,
        jobs: JobService,
        offered: Mapping[str, Manifest],
        batch: OpenBatch,
        caller: Principal,
    ) -> None:
        self._session = session
        self._caller = caller
        self._jobs = jobs
        self._offered = offered
        self._batch = batch
        self._live, caps_usd = work.live(session, batch.id)
        self._committed_usd = batch.spent_usd + caps_usd
        self._given: list[tuple[int, UUID, Decimal | None]] = []
        self._done = Round()

    def feed(self, window: int) -> Round:
        """Create jobs for the next lines, as far as the window, cap, budgets and limits allow."""
        batch, room = self._batch, min(window - self._live, PORTION)
        is_held_up = False
        for line in work.queued(self._session, batch.id, room) if room > 0 else ():
            manifest = self._offered.get(line.capability)
            if manifest is None:
                self._fail(line, LineError.CAPABILITY_UNKNOWN, "the capability is not offered any more")
                continue
            if not self._fits(manifest):
                if not self._live and not self._given:
                    self._done.moved += self._end_too_dear()
                break
            try:
                with self._session.begin_nested():
                    made = self._jobs.submit(self._session, self._caller, self._job(line, manifest))
            except (RateLimited, QuotaExceeded, BudgetExhausted) as refusal:
                seconds = float(refusal.retry_after_seconds or _DELAY_SECONDS)
                work.delay(self._session, batch.id, refusal.code, min(seconds, _DELAY_MAX_SECONDS))
                is_held_up = True
                break
            except WaybillError as refusal:
                self._fail(line, refusal.code, refusal.detail)
                continue
            cap = self._cap(manifest)
            self._committed_usd += cap or ZERO
            self._given.append((line.line, made.id, cap))
            self._done.made.append(made)
        if self._given:
            work.give_jobs(self._session, batch.id, self._given)
            if not is_held_up and batch.delayed_reason is not None:
                work.delay(self._session, batch.id, None, 0)
        self._done.moved += len(self._given)
        return self._done

    def _cap(self, manifest: Manifest) -> Decimal | None:
        """The maximum cost of a line of this capability; None when neither the line nor the batch sets one."""
        if self._batch.max_line_cost_usd is not None:
            return self._batch.max_line_cost_usd
        return None if self._batch.max_cost_usd is None else manifest.reserve_usd

    def _fits(self, manifest: Manifest) -> bool:
        most = self._batch.max_cost_usd
        return most is None or self._committed_usd + (self._cap(manifest) or ZERO) <= most

    def _end_too_dear(self) -> int:
        """End lines that do not fit under the cap: with no live line to release room, they never will."""
        batch = self._batch
        too_dear = [name for name, manifest in self._offered.items() if not self._fits(manifest)]
        message = (
            f"the batch may cost {format_money(batch.max_cost_usd or ZERO)} USD, {format_money(batch.spent_usd)} are"
            " spent, and what is left is less than this line may cost"
        )
        return repository.end_queued(
            self._session,
            batch.organization_id,
            batch.id,
            LineState.FAILED,
            LineError.COST_CAP_REACHED,
            message,
            capabilities=too_dear,
        )

    def _fail(self, line: QueuedLine, code: str, message: str) -> None:
        work.fail_line(self._session, self._batch.id, line.line, code, message)
        self._done.moved += 1

    def _job(self, line: QueuedLine, manifest: Manifest) -> NewJob:
        batch, cap = self._batch, self._cap(manifest)
        metadata = {**batch.metadata, **(line.metadata or {})}
        return NewJob(
            capability=manifest.id,
            pool=manifest.pool,
            input=line.input,
            needs=manifest.needs(line.input),
            metadata=metadata,
            declared_class=declared_class(metadata),
            priority=batch.priority,
            deadline_at=batch.deadline_at,
            deadline_seconds=None if batch.deadline_at is not None else manifest.deadline_seconds,
            max_attempts=manifest.max_attempts,
            max_cost_usd=cap,
            reserve_usd=manifest.reserve_usd if cap is None else cap,
            traceparent=batch.traceparent,
            batch_id=batch.id,
        )
