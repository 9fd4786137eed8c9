"""A replayed budget decides as Postgres does: ten thousand decisions of random histories, through both."""

import random
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from decimal import Decimal
from uuid import UUID

import psycopg
import pytest

from core.forecasts.backtests.budget import BudgetReplay, Kind, Moment, replay
from core.kit.ids import new_id
from core.kit.settings import Settings
from tests.factories.jobs import Tenant, new_tenant

pytestmark = pytest.mark.own_database

DECISIONS = 10_000
ROUNDS = 5


class Enforcement:
    """The functions that move money, called as submissions, workers and sweeps call them."""

    def __init__(self, connection: psycopg.Connection, tenant: Tenant, limit: Decimal) -> None:
        self._connection = connection
        self._tenant = tenant.principal
        self._alive: dict[UUID, bool] = {}
        budget_id = new_id()
        connection.execute(
            "INSERT INTO budgets (id, organization_id, name, scope, scope_id, period, limit_usd)"
            " VALUES (%s, %s, %s, 'organization', %s, 'total', %s)",
            (budget_id, self._tenant.organization_id, str(budget_id), self._tenant.organization_id, limit),
        )
        self.budget_id = budget_id

    def decide(self, moment: Moment) -> str:
        match moment.kind:
            case Kind.SUBMIT:
                return self._submit(moment)
            case Kind.BEGIN if self._alive.get(moment.root_id):
                return self._begin(moment)
            case Kind.SETTLE:
                assert moment.call is not None
                self._call(
                    "SELECT ledger_settle_call(%s, %s, %s, %s, '{}', '{}', '{}', false, NULL)",
                    (*moment.call, moment.amount_usd),
                )
                if self._alive.get(moment.root_id) is False:
                    self._call("SELECT ledger_release(%s)", ([moment.root_id],))
            case Kind.CORRECT:
                assert moment.call is not None
                self._call("SELECT ledger_correct(%s, %s, %s, %s, 'test')", (*moment.call, moment.amount_usd))
            case Kind.END if moment.root_id in self._alive:
                self._end(moment.root_id)
        return "nothing"

    def balance(self) -> tuple[Decimal, Decimal]:
        row = self._connection.execute(
            "SELECT spent_usd, reserved_usd FROM budget_balances WHERE budget_id = %s", (self.budget_id,)
        ).fetchone()
        return row or (Decimal(0), Decimal(0))

    def _submit(self, moment: Moment) -> str:
        ours = self._tenant
        if not moment.amount_usd:
            spent, _ = self.balance()
            limit = self._connection.execute(
                "SELECT limit_usd FROM budgets WHERE id = %s", (self.budget_id,)
            ).fetchone()
            assert limit is not None
            if spent > 0 and spent >= limit[0]:
                return "refused"
        accepted = self._call(
            "SELECT ledger_reserve(%s, %s, %s, NULL, %s, %s)",
            (moment.root_id, ours.organization_id, ours.project_id, moment.amount_usd, moment.cap_usd),
        )
        if not accepted:
            return "refused"
        self._connection.execute(
            "INSERT INTO jobs (id, organization_id, project_id, capability, pool, max_cost_usd, state, attempt,"
            " lease_expires_at) VALUES (%s, %s, %s, 'probe.act', 'probe', %s, 'running', 1, now())",
            (moment.root_id, ours.organization_id, ours.project_id, moment.cap_usd),
        )
        self._alive[moment.root_id] = True
        return "accepted"

    def _begin(self, moment: Moment) -> str:
        assert moment.call is not None
        if self._call(
            "SELECT ledger_begin_call(%s, %s, %s, %s, 'p', 'm', NULL, NULL)", (*moment.call, moment.amount_usd)
        ):
            return "accepted"
        self._end(moment.root_id)
        return "stopped"

    def _end(self, root_id: UUID) -> None:
        self._alive[root_id] = False
        self._call("SELECT ledger_release(%s)", ([root_id],))

    def _call(self, statement: str, parameters: tuple[object, ...]) -> bool:
        try:
            with self._connection.transaction():
                self._connection.execute(statement, parameters)
        except psycopg.Error as error:
            if error.sqlstate != "WB402":
                raise
            return False
        return True


def history(source: random.Random) -> Iterator[Moment]:
    """Jobs that begin, call, settle for less than their bound or exactly at it, are corrected and end, interleaved."""
    roots: list[UUID] = []
    open_calls: list[tuple[UUID, tuple[UUID, int, int], Decimal]] = []
    settled: list[tuple[UUID, tuple[UUID, int, int], Decimal]] = []
    at = datetime(2026, 11, 1, tzinfo=UTC)
    numbers: dict[UUID, int] = {}

    def money(most: int) -> Decimal:
        return Decimal(source.randint(0, most)) / 1000

    while True:
        choice = source.random()
        if choice < 0.3 or not roots:
            root = new_id()
            cap = money(900) + Decimal("0.001") if source.random() < 0.4 else None
            reserve = cap if cap is not None and source.random() < 0.7 else source.choice([Decimal(0), money(300)])
            roots.append(root)
            yield Moment(at, Kind.SUBMIT, root, reserve, cap_usd=cap)
        elif choice < 0.6:
            root = source.choice(roots)
            numbers[root] = numbers.get(root, 0) + 1
            call, bound = (root, 1, numbers[root]), money(200)
            open_calls.append((root, call, bound))
            yield Moment(at, Kind.BEGIN, root, bound, call)
        elif choice < 0.87 and open_calls:
            root, call, bound = open_calls.pop(source.randrange(len(open_calls)))
            amount = bound if source.random() < 0.3 else Decimal(source.randint(0, int(bound * 1000))) / 1000
            settled.append((root, call, amount))
            yield Moment(at, Kind.SETTLE, root, amount, call)
        elif choice < 0.9 and settled:
            root, call, amount = settled.pop(source.randrange(len(settled)))
            yield Moment(at, Kind.CORRECT, root, -amount / 2, call)
        elif roots:
            yield Moment(at, Kind.END, roots.pop(source.randrange(len(roots))))


@pytest.mark.heavy
def test_ten_thousand_decisions_are_those_of_enforcement(settings: Settings) -> None:
    assert settings.database_url is not None
    decided: dict[str, int] = {}
    for seed in range(ROUNDS):
        source = random.Random(seed)
        limit = Decimal(source.randint(2, 40))
        # Each decision in a transaction of its own: in one of all, each reads what all before it left of a balance.
        url = settings.database_url.get_secret_value()
        with closing(new_tenant(settings)) as tenant, psycopg.connect(url, autocommit=True) as connection:
            real, ours = Enforcement(connection, tenant, limit), BudgetReplay(limit, "total")
            moments = history(source)
            taken = 0
            while taken < DECISIONS // ROUNDS:
                moment = next(moments)
                expected, found = real.decide(moment), ours.decide(moment)
                assert found == expected, (seed, taken, moment)
                if expected != "nothing":
                    taken += 1
                    decided[expected] = decided.get(expected, 0) + 1
            assert ours.balance(moment.at) == real.balance()
    assert sum(decided.values()) == DECISIONS
    assert min(decided[kind] for kind in ("accepted", "refused", "stopped")) > 300


def test_a_budget_is_asked_by_the_day_and_says_what_it_would_have_done() -> None:
    def job(day: int, usd: str) -> list[Moment]:
        at, root = datetime(2026, 11, day, 12, tzinfo=UTC), new_id()
        call = (root, 1, 1)
        return [
            Moment(at, Kind.SUBMIT, root),
            Moment(at, Kind.BEGIN, root, Decimal(1), call),
            Moment(at, Kind.SETTLE, root, Decimal(usd), call),
            Moment(at, Kind.END, root),
        ]

    moments = [moment for day in (1, 1, 1, 2) for moment in job(day, "0.75")]
    found = replay(moments, Decimal(2), "day")
    # On the first day the third job's call has no room (0.75 + 0.75 + 1 > 2); the second day begins with nothing spent.
    assert (found.jobs, found.accepted, found.refused, found.stopped) == (4, 4, 0, 1)
    assert (found.history_usd, found.spent_usd) == (Decimal(3), Decimal("2.25"))
    assert found.by_day == {"2026-11-01": 1}
    assert replay(moments, Decimal(2), "total").stopped == 2
