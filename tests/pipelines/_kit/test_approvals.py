"""An approval covers one exact call: whatever is changed about it, nothing is done; unchanged, it is done once."""

import random
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from core.capability import JobSuspended
from core.jobs.suspension import questions
from core.keys.service import IssuedKey
from core.kit.errors import CapabilityFailure
from core.kit.ids import KEY, decode, encode
from core.kit.settings import Settings
from pipelines._kit.tools import approvals
from pipelines._kit.tools.approvals import ASK_AGAIN, Approval
from pipelines._kit.tools.box import ToolBox
from pipelines._kit.tools.client import McpClient
from pipelines._kit.tools.servers import ToolPolicies
from tests.factories.api import issue_key, principal_of, probe_capabilities
from tests.factories.attempts import Attempt, worker_services
from tests.factories.effect_tools import EffectTools, effect_tools
from tests.factories.jobs import Tenant, tenant_of
from workers.services import Services

pytestmark = pytest.mark.survive("E2")
CALL = "0-pay"


@pytest.fixture(autouse=True)
def _probes() -> Iterator[None]:
    with probe_capabilities():
        yield


@pytest.fixture(scope="module")
def tools() -> Iterator[EffectTools]:
    with effect_tools() as opened:
        yield opened


@pytest.fixture(scope="module")
def client() -> Iterator[McpClient]:
    opened = McpClient()
    yield opened
    opened.close()


@dataclass
class Office:
    """A project with the key that asks, the key that approves, and the tools."""

    tenant: Tenant
    services: Services
    tools: EffectTools
    client: McpClient
    asker: IssuedKey
    approver: IssuedKey

    def begin(self, job_id: UUID) -> Attempt:
        return Attempt(self.services, job_id)

    def box(
        self, attempt: Attempt, *, policies: ToolPolicies | None = None, rules: str = "1", step: str = "act"
    ) -> ToolBox:
        return ToolBox(attempt.context, policies or self.tools.tool_policies(), self.client, step, rules=rules)

    def approved(self, arguments: dict[str, str]) -> tuple[Attempt, Approval]:
        """A job whose call with these arguments was approved, in the attempt that is to make it."""
        job_id = self.tenant.submit()
        first = self.begin(job_id)
        with pytest.raises(JobSuspended):
            self.ask(first, arguments)
        first.suspend("input")
        with self.tenant.database.tenant(self.approver.organization_id) as session:
            questions.answer(session, principal_of(self.approver), job_id, None, {"approved": True})
        second = self.begin(job_id)
        given = self.ask(second, arguments)
        assert isinstance(given, Approval)
        return second, given

    def ask(self, attempt: Attempt, arguments: dict[str, str], **given: Any) -> Approval | bool | None:
        binding = self.box(attempt).bind("pay", arguments, call=CALL)
        return approvals.ask(attempt.context, binding, "May it be paid?", details={}, timeout_seconds=60, **given)

    def write(self, statement: str, **values: Any) -> None:
        with self.tenant.database.system() as session:
            session.execute(text(statement), values)


@pytest.fixture
def office(settings: Settings, tools: EffectTools, client: McpClient) -> Iterator[Office]:
    asker, approver = issue_key(settings), issue_key(settings)
    with ExitStack() as stack:
        tenant = tenant_of(settings, principal_of(asker))
        stack.callback(tenant.close)
        services = stack.enter_context(worker_services(settings))
        yield Office(tenant, services, tools, client, asker, approver)


@contextmanager
def written(office: Office, there: str, back: str, **values: Any) -> Iterator[None]:
    office.write(there, **values)
    try:
        yield
    finally:
        office.write(back, **values)


@contextmanager
def released(office: Office) -> Iterator[None]:
    office.tools.release(has_fee=True)
    try:
        yield
    finally:
        office.tools.release(has_fee=False)


@dataclass
class Case:
    """A call that was approved, in the attempt that is to make it."""

    office: Office
    attempt: Attempt
    approval: Approval
    arguments: dict[str, Any]
    dice: random.Random

    def call(self, *, operation: str = "pay", call: str = CALL, **given: Any) -> None:
        """Make it, but for what is `given`."""
        attempt, approval = given.pop("attempt", self.attempt), given.pop("approval", self.approval)
        arguments = given.pop("arguments", self.arguments)
        self.office.box(attempt, **given).call(operation, arguments, call=call, approval=approval)

    def written(self, table: str, there: str, back: str, **values: Any) -> AbstractContextManager[None]:
        """The row `id` of `table` changed, and changed back."""
        column = "job_id" if table == "job_questions" else "id"
        update = f"UPDATE {table} SET {{}} WHERE {column} = :id"
        return written(self.office, update.format(there), update.format(back), **values)

    def approver(self, there: str, back: str) -> AbstractContextManager[None]:
        """The key that approved, changed and changed back."""
        return self.written("api_keys", there, back, id=decode(KEY, self.approval.approved_by))


Mutation = Callable[[Case], None]


def other_value(case: Case) -> None:
    name = case.dice.choice(sorted(case.arguments))
    changed = {"amount": f"{case.dice.randint(1, 400)}.99", "reference": f"R-{case.dice.random()}"}
    case.call(arguments={**case.arguments, name: changed[name]})


def other_type(case: Case) -> None:
    case.call(arguments={**case.arguments, "amount": float(case.arguments["amount"])})


def more(case: Case) -> None:
    case.call(arguments={**case.arguments, f"fee{case.dice.randint(0, 9)}": None})


def fewer(case: Case) -> None:
    case.call(arguments={"amount": case.arguments["amount"]})


def sibling(case: Case) -> None:
    case.call(operation="repay")


def second_call(case: Case) -> None:
    case.call(call=f"{case.dice.randint(1, 9)}-pay")


def other_step(case: Case) -> None:
    case.call(step="undo")


def other_job(case: Case) -> None:
    case.call(attempt=case.office.begin(case.office.tenant.submit()))


def none(case: Case) -> None:
    case.call(approval=None)


def forged(case: Case) -> None:
    approval = case.approval
    case.call(
        approval=case.dice.choice(
            [replace(approval, approved_by="key_other"), replace(approval, question=f"{approval.question}-2")]
        )
    )


def other_policy(case: Case) -> None:
    changed: list[dict[str, Any]] = [
        {"calls_per_job": 3},
        {"arguments": {"reference": "note"}},
        {"currency": "USD"},
        {"approval_valid_seconds": 60},
    ]
    case.call(policies=case.office.tools.tool_policies(**case.dice.choice(changed)))


def other_rules(case: Case) -> None:
    case.call(rules=str(case.dice.randint(2, 9)))


def other_schema(case: Case) -> None:
    with released(case.office):
        case.call()


def expired(case: Case) -> None:
    by = f"interval '{case.dice.randint(61, 600)} minutes'"
    there, back = f"answered_at = answered_at - {by}", f"answered_at = answered_at + {by}"
    with case.written("job_questions", there, back, id=case.attempt.context.job_id):
        case.call()


def declined(case: Case) -> None:
    there, back = """value = '{"approved": false}'""", """value = '{"approved": true}'"""
    there, back = (each.replace('": ', '"\\: ') for each in (there, back))
    with case.written("job_questions", there, back, id=case.attempt.context.job_id):
        case.call()


def approver_revoked(case: Case) -> None:
    with case.approver("revoked_at = now()", "revoked_at = NULL"):
        case.call()


def approver_narrowed(case: Case) -> None:
    with case.approver("scopes = array_remove(scopes, 'jobs:answer')", "scopes = array_append(scopes, 'jobs:answer')"):
        case.call()


def approver_is_asker(case: Case) -> None:
    with case.approver(f"created_by = '{encode(KEY, case.office.asker.id)}'", "created_by = NULL"):
        case.call()


def asker_revoked(case: Case) -> None:
    with case.written("api_keys", "revoked_at = now()", "revoked_at = NULL", id=case.office.asker.id):
        case.call()


MUTATIONS: tuple[Mutation, ...] = (
    other_value,
    other_type,
    more,
    fewer,
    sibling,
    second_call,
    other_step,
    other_job,
    none,
    forged,
    other_policy,
    other_rules,
    other_schema,
    expired,
    declined,
    approver_revoked,
    approver_narrowed,
    approver_is_asker,
    asker_revoked,
)


def mutate(office: Office, rounds: int, seed: int) -> int:
    """Try every mutation once a round, then the call as it was approved, twice; returns how many were tried."""
    dice, tried = random.Random(seed), 0
    for number in range(rounds):
        arguments = {"reference": f"{seed}-{number}", "amount": f"{dice.randint(1, 400)}.00"}
        attempt, approval = office.approved(arguments)
        before = office.tools.done.total()
        for mutation in dice.sample(MUTATIONS, len(MUTATIONS)):
            with pytest.raises(CapabilityFailure) as refused:
                mutation(Case(office, attempt, approval, arguments, dice))
            expected = {"key_revoked"} if mutation is asker_revoked else ASK_AGAIN
            assert refused.value.code in expected, mutation.__name__
            assert office.tools.done.total() == before, mutation.__name__
            tried += 1
        for _ in range(2):
            assert office.box(attempt).call("pay", arguments, call=CALL, approval=approval).status == "done"
            assert office.tools.done["pay", arguments["reference"]] == 1
        assert office.tools.done.total() == before + 1
        attempt.succeed()
    return tried


def test_a_changed_call_is_not_made_and_the_approved_one_once(office: Office) -> None:
    assert mutate(office, rounds=2, seed=1) == 2 * len(MUTATIONS)


@pytest.mark.slow(120)
def test_a_thousand_changed_calls_are_not_made(office: Office, record_property: Callable[[str, object], None]) -> None:
    tried = mutate(office, rounds=54, seed=2)
    record_property("figure", f"{tried} mutations, 0 executed; 54 honest calls, once each")
    assert tried >= 1000


def repeat(office: Office, times: int) -> None:
    """Make approved calls, each in an attempt that is lost before its step ends and once more in the next one."""
    for number in range(times):
        arguments = {"reference": f"honest-{times}-{number}", "amount": "20.00"}
        attempt, approval = office.approved(arguments)
        for _ in range(2):
            assert office.box(attempt).call("pay", arguments, call=CALL, approval=approval).status == "done"
            attempt.requeue()
            attempt = office.begin(attempt.context.job_id)
            assert office.ask(attempt, arguments) == approval
        attempt.succeed()
        assert office.tools.done["pay", arguments["reference"]] == 1


def test_an_approved_call_is_made_once_over_restarts(office: Office) -> None:
    repeat(office, 3)


@pytest.mark.slow(600)
@pytest.mark.timeout(3600)
def test_a_thousand_approved_calls_are_made_once_over_restarts(
    office: Office, record_property: Callable[[str, object], None]
) -> None:
    repeat(office, 1000)
    record_property("figure", "1000 approved calls, 2 restarts each, once each")


def test_what_changed_is_asked_for_again(office: Office) -> None:
    arguments = {"reference": "again", "amount": "20.00"}
    attempt, approval = office.approved(arguments)
    # As it was approved it is not asked for twice; lapsed, or changed, it is.
    assert office.ask(attempt, arguments) == approval
    for given in ({"before": approval}, {}):
        with pytest.raises(JobSuspended):
            office.ask(attempt, arguments if given else {**arguments, "amount": "21.00"}, **given)
    asked = [
        event.data["key"] for event in office.tenant.events(attempt.context.job_id) if event.type == "input.required"
    ]
    assert asked[:2] == [approval.question, f"{approval.question}-2"]
    assert len(set(asked)) == 3
