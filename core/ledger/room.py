"""Whether a caller's hard budgets have anything left, checked at the submission of jobs that set nothing aside.

The need of such a job is known, and checked exactly, only when it makes its calls. But where a budget is already used
up, the client learns it at once.
"""

from uuid import UUID

from sqlalchemy import text

from core.keys.principal import Principal
from core.kit.db import Executor
from core.kit.memory import Memory
from core.ledger.errors import exhausted

# The maximum delay until a first hard budget is seen.
_REMEMBER_SECONDS = 2.0
_REMEMBERED_MAX = 10_000

_IN_SCOPE = (
    "budgets.organization_id = :organization AND budgets.scope_id IN (:organization, :project, CAST(:key AS uuid))"
    " AND budgets.archived_at IS NULL AND budgets.hard"
)
_HAS_ANY = text(f"SELECT EXISTS (SELECT FROM budgets WHERE {_IN_SCOPE})")
# Whether there is a hard budget, or a cap of the job or of its root.
_IS_BOUNDED = text(f"""
SELECT EXISTS (SELECT FROM budgets WHERE {_IN_SCOPE})
  OR EXISTS (SELECT FROM jobs WHERE id IN (:job, CAST(:root AS uuid)) AND max_cost_usd IS NOT NULL)
""")
_USED_UP = text(f"""
SELECT budgets.id AS budget_id, budgets.name, budgets.scope, budgets.period, budgets.on_exhaustion,
  budgets.limit_usd::text AS limit_usd, balance.spent_usd::text AS spent_usd,
  balance.reserved_usd::text AS reserved_usd, '0' AS wanted_usd
FROM budgets JOIN budget_balances AS balance
  ON balance.budget_id = budgets.id AND balance.period_start = ledger_period_start(budgets.period, now())
WHERE {_IN_SCOPE} AND balance.spent_usd > 0 AND balance.spent_usd >= budgets.limit_usd
ORDER BY (budgets.on_exhaustion = 'pause'), budgets.id LIMIT 1
""")


class BudgetRoom:
    """Queries Postgres only for callers with a hard budget, which is cached for two seconds. Thread-safe."""

    def __init__(self) -> None:
        self._budgeted: Memory[tuple[UUID, UUID, UUID | None], bool] = Memory(
            _REMEMBER_SECONDS, entries_max=_REMEMBERED_MAX
        )

    def has_hard_budget(self, session: Executor, principal: Principal) -> bool:
        """Whether anything that the caller spends counts against a hard budget."""
        key = (principal.organization_id, principal.project_id, principal.key_id)
        known = self._budgeted.get(
            session, key, lambda executor: bool(executor.execute(_HAS_ANY, _scope(principal)).scalar_one())
        )
        return known.value

    def require(self, session: Executor, principal: Principal) -> None:
        """Raise `BudgetExhausted`, naming it, when a hard budget of the caller is used up."""
        if not self.has_hard_budget(session, principal):
            return
        row = session.execute(_USED_UP, _scope(principal)).one_or_none()
        if row is not None:
            raise exhausted({**row._asdict(), "budget_id": str(row.budget_id)})

    def evict(self) -> None:
        """Clear the cache."""
        self._budgeted.evict()


def is_bounded(session: Executor, principal: Principal, job_id: UUID, root_id: UUID | None) -> bool:
    """Whether a hard budget or a cap bounds the job's spending: then each call must have a known price."""
    return bool(session.execute(_IS_BOUNDED, {**_scope(principal), "job": job_id, "root": root_id}).scalar_one())


def _scope(principal: Principal) -> dict[str, UUID | None]:
    return {
        "organization": principal.organization_id,
        "project": principal.project_id,
        "key": principal.key_id,
    }
