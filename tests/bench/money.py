"""What guarding costs a submission: budgets and quotas on every scope; fifty keys that share one project's budget."""

from collections.abc import Callable
from decimal import Decimal

from core.keys.service import IssuedKey, KeyService
from core.ledger.budgets import BudgetService
from core.ledger.records import NewBudget, Scope
from core.limits.cache import LimitCache
from core.limits.records import LimitKind, ScopeId
from core.limits.service import LimitService
from tests.bench.jobs import accepted, empty
from tests.bench.load import Target, closed_loop, closed_loop_over
from tests.bench.rows import Row, compared
from tests.bench.system import Systems
from tests.factories.api import principal_of

_ROUNDS = 5
_KEYS = 50
_JOB = {"capability": "probe.act", "input": {"act": "noop"}, "max_cost_usd": "0.01"}
_PLENTY_USD = Decimal(1_000_000)
_PLENTY_JOBS = 1_000_000


def run(systems: Systems, say: Callable[[str], None]) -> list[Row]:
    """Submissions under three hard budgets and three quotas against submissions under none; then keys sharing one."""
    return [*_guarded(systems, say), *_shared(systems, say)]


def _guarded(systems: Systems, say: Callable[[str], None]) -> list[Row]:
    key = _issue(systems, "guarded", "guarded")
    for scope in ("organization", "project", "key"):
        _budget(systems, key, scope)
        _quota(systems, key, scope)
    guarded = _target(systems, key)
    rows = []
    for clients, requests in ((1, 400), (10, 1200), (100, 2000)):
        with_budgets, without = [], []
        for target in (guarded, systems.ours):
            closed_loop(target, clients=clients, requests=200)
        for number in range(_ROUNDS):
            say(f"submit under budgets and quotas, {clients} clients, round {number + 1} of {_ROUNDS}")
            with_budgets.append(accepted(closed_loop(guarded, clients=clients, requests=requests)))
            without.append(accepted(closed_loop(systems.ours, clients=clients, requests=requests)))
        empty(systems)
        rows.append(
            compared(
                f"submit_p95_guarded_{clients}_clients",
                "ms",
                [outcome.quantile(0.95) * 1000 for outcome in with_budgets],
                [outcome.quantile(0.95) * 1000 for outcome in without],
                at_most=1.5,
            )
        )
    return rows


def _shared(systems: Systems, say: Callable[[str], None]) -> list[Row]:
    together = [_issue(systems, "crowd", "one") for _ in range(_KEYS)]
    _budget(systems, together[0], "project")
    apart = [_issue(systems, "spread", f"project-{number}") for number in range(_KEYS)]
    for key in apart:
        _budget(systems, key, "project")
    targets = {name: [_target(systems, key) for key in keys] for name, keys in (("one", together), ("own", apart))}
    for each in targets.values():
        closed_loop_over(each, requests=200)
    one, own = [], []
    for number in range(_ROUNDS):
        say(f"fifty keys, round {number + 1} of {_ROUNDS}")
        one.append(accepted(closed_loop_over(targets["one"], requests=2000)))
        own.append(accepted(closed_loop_over(targets["own"], requests=2000)))
    empty(systems)
    return [
        compared(
            "submit_throughput_50_keys_one_budget",
            "jobs/s",
            [outcome.per_second for outcome in one],
            [outcome.per_second for outcome in own],
        ),
        compared(
            "submit_p95_50_keys_one_budget",
            "ms",
            [outcome.quantile(0.95) * 1000 for outcome in one],
            [outcome.quantile(0.95) * 1000 for outcome in own],
        ),
    ]


def _issue(systems: Systems, organization: str, project: str) -> IssuedKey:
    with systems.database.system() as session:
        return KeyService(systems.settings).create_key(
            session, organization=organization, project=project, name="bench"
        )


def _budget(systems: Systems, key: IssuedKey, scope: Scope) -> None:
    scope_id = {"organization": None, "project": key.project_id, "key": key.id}[scope]
    new = NewBudget(name=f"{scope} {scope_id}", limit_usd=_PLENTY_USD, scope=scope, scope_id=scope_id)
    with systems.database.tenant(key.organization_id) as session:
        BudgetService().create(session, principal_of(key), new)


def _quota(systems: Systems, key: IssuedKey, scope: Scope) -> None:
    scope_id = {"organization": key.organization_id, "project": key.project_id, "key": key.id}[scope]
    service = LimitService(LimitCache(systems.settings))
    with systems.database.tenant(key.organization_id) as session:
        service.set(session, principal_of(key), ScopeId(scope, scope_id), LimitKind.JOBS_PER_DAY, _PLENTY_JOBS)


def _target(systems: Systems, key: IssuedKey) -> Target:
    return Target(systems.ours.port, "/v1/jobs", _JOB, {"Authorization": f"Bearer {key.plaintext}"})
