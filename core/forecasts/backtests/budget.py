"""A budget, replayed: the decisions of ``ledger_reserve``, ``ledger_begin_call`` and ``ledger_settle_call`` in Python.

The SQL in ``infra/migrations/sql/ledger.sql`` decides when jobs run; `BudgetReplay` makes the same decisions from the
same figures, and a test compares ten thousand of them.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Literal
from uuid import UUID

from core.kit.money import ZERO
from core.ledger.records import Period

_FOREVER = datetime.min.replace(tzinfo=UTC)


class Kind(StrEnum):
    """The kind of event in a tree of jobs."""

    SUBMIT = "submit"
    BEGIN = "begin"
    SETTLE = "settle"
    CORRECT = "correct"
    END = "end"


@dataclass(frozen=True, slots=True)
class Moment:
    """An event at `at` in the tree of jobs below `root_id`.

    `amount_usd` is the reservation (submit), the call's bound (begin), its cost (settle) or the correction. `call`
    names the call within the tree. `cap_usd` is the job's own cap (submit).
    """

    at: datetime
    kind: Kind
    root_id: UUID
    amount_usd: Decimal = ZERO
    call: tuple[UUID, int, int] | None = None
    cap_usd: Decimal | None = None


Decision = Literal["accepted", "refused", "stopped", "nothing"]


@dataclass(slots=True)
class _Balance:
    spent_usd: Decimal = ZERO
    reserved_usd: Decimal = ZERO


@dataclass(slots=True)
class _Reservation:
    period: datetime
    held_usd: Decimal = ZERO
    committed_usd: Decimal = ZERO
    spent_usd: Decimal = ZERO


@dataclass(slots=True)
class _Tree:
    cap_usd: Decimal | None
    reservation: _Reservation | None = None
    # The cost of the root job's calls; a reservation that is opened later starts with it.
    root_spent_usd: Decimal = ZERO
    # It was stopped, or has ended: open calls are settled, and then the reservation is released.
    is_closing: bool = False
    bounds: dict[tuple[UUID, int, int], Decimal] = field(default_factory=dict)
    charged_to: dict[tuple[UUID, int, int], datetime] = field(default_factory=dict)


class BudgetReplay:
    """Replays one hard budget over every moment in turn. A refused job has no further moments."""

    def __init__(self, limit_usd: Decimal, period: Period) -> None:
        self.limit_usd = limit_usd
        self.period = period
        self._balances: dict[datetime, _Balance] = {}
        self._trees: dict[UUID, _Tree] = {}

    def decide(self, moment: Moment) -> Decision:
        """The decision of enforcement: admit a job or refuse it, let a call start or stop its job.

        ``nothing``: there is nothing to decide, or the job was already refused or stopped.
        """
        if moment.kind is Kind.SUBMIT:
            return self._submit(moment)
        tree = self._trees.get(moment.root_id)
        if tree is None:
            return "nothing"
        match moment.kind:
            case Kind.BEGIN:
                return self._begin(moment, tree)
            case Kind.SETTLE:
                self._settle(moment, tree)
            case Kind.CORRECT:
                self._correct(moment, tree)
            case Kind.END:
                self._close(tree)
        return "nothing"

    @property
    def spent_usd(self) -> Decimal:
        """The spending in all periods."""
        return sum((balance.spent_usd for balance in self._balances.values()), ZERO)

    def balance(self, at: datetime) -> tuple[Decimal, Decimal]:
        """The amounts spent and reserved in the period of `at`."""
        balance = self._balance(self._period(at))
        return balance.spent_usd, balance.reserved_usd

    def _submit(self, moment: Moment) -> Decision:
        period = self._period(moment.at)
        balance = self._balance(period)
        if not moment.amount_usd:
            # Checked at submission too (`core.ledger.room`): a used-up budget refuses every job.
            if balance.spent_usd > 0 and balance.spent_usd >= self.limit_usd:
                return "refused"
            self._trees[moment.root_id] = _Tree(moment.cap_usd)
            return "accepted"
        if not self._set_aside(balance, moment.amount_usd):
            return "refused"
        self._trees[moment.root_id] = _Tree(moment.cap_usd, _Reservation(period, moment.amount_usd))
        return "accepted"

    def _begin(self, moment: Moment, tree: _Tree) -> Decision:
        assert moment.call is not None
        if tree.is_closing:
            return "nothing"
        bound = moment.amount_usd
        if bound > 0:
            held = tree.reservation or _Reservation(self._period(moment.at), spent_usd=tree.root_spent_usd)
            if tree.cap_usd is not None and held.spent_usd + held.committed_usd + bound > tree.cap_usd:
                self._close(tree)
                return "stopped"
            missing = max(ZERO, bound - (held.held_usd - held.committed_usd))
            if missing > 0 and not self._set_aside(self._balance(held.period), missing):
                self._close(tree)
                return "stopped"
            held.held_usd += missing
            held.committed_usd += bound
            tree.reservation = held
        tree.bounds[moment.call] = bound
        return "accepted"

    def _settle(self, moment: Moment, tree: _Tree) -> None:
        assert moment.call is not None
        bound = tree.bounds.pop(moment.call, None)
        if bound is None:
            return
        amount, held = moment.amount_usd, tree.reservation
        if moment.call[0] == moment.root_id:
            tree.root_spent_usd += amount
        given_back = ZERO
        period = self._period(moment.at)
        if held is not None:
            period = held.period
            kept = held.committed_usd - bound
            given_back = min(amount, held.held_usd - kept)
            held.committed_usd = kept
            held.held_usd -= given_back
            held.spent_usd += amount
        if amount:
            balance = self._balance(period)
            balance.reserved_usd -= given_back
            balance.spent_usd += amount
            tree.charged_to[moment.call] = period
        if tree.is_closing:
            self._close(tree)

    def _correct(self, moment: Moment, tree: _Tree) -> None:
        assert moment.call is not None
        if moment.call in tree.charged_to:
            self._balance(tree.charged_to[moment.call]).spent_usd += moment.amount_usd

    def _close(self, tree: _Tree) -> None:
        tree.is_closing = True
        held = tree.reservation
        if held is not None and not held.committed_usd:
            self._balance(held.period).reserved_usd -= held.held_usd
            tree.reservation = None

    def _set_aside(self, balance: _Balance, amount: Decimal) -> bool:
        if balance.spent_usd + balance.reserved_usd + amount > self.limit_usd:
            return False
        balance.reserved_usd += amount
        return True

    def _balance(self, period: datetime) -> _Balance:
        return self._balances.setdefault(period, _Balance())

    def _period(self, at: datetime) -> datetime:
        if self.period == "total":
            return _FOREVER
        day = at.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        return day if self.period == "day" else day.replace(day=1)


@dataclass(slots=True)
class BudgetBacktest:
    """The effect a budget would have had. Amounts are US dollars; `spent_usd` is what it would have allowed."""

    jobs: int = 0
    accepted: int = 0
    refused: int = 0
    stopped: int = 0
    history_usd: Decimal = ZERO
    spent_usd: Decimal = ZERO
    first_at: datetime | None = None
    by_day: dict[str, int] = field(default_factory=dict)
    examples: list[UUID] = field(default_factory=list)


def replay(moments: Iterable[Moment], limit_usd: Decimal, period: Period, *, examples: int = 10) -> BudgetBacktest:
    """Replay a budget over a history, in the order of time."""
    budget, found = BudgetReplay(limit_usd, period), BudgetBacktest()
    for moment in moments:
        if moment.kind is Kind.SUBMIT:
            found.jobs += 1
        if moment.kind in {Kind.SETTLE, Kind.CORRECT}:
            found.history_usd += moment.amount_usd
        decision = budget.decide(moment)
        if decision == "accepted" and moment.kind is Kind.SUBMIT:
            found.accepted += 1
        if decision in {"refused", "stopped"}:
            found.refused += decision == "refused"
            found.stopped += decision == "stopped"
            found.first_at = found.first_at or moment.at
            day = moment.at.astimezone(UTC).date().isoformat()
            found.by_day[day] = found.by_day.get(day, 0) + 1
            if len(found.examples) < examples:
                found.examples.append(moment.root_id)
    found.spent_usd = budget.spent_usd
    return found
