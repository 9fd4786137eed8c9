"""The adapter of tau-bench: what earns a reward through `agent.run`, and what does not."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from core.kit.settings import Settings
from tests.evals.tau.adapter import Bench, Task, expected_actions, floor, nothing, read_tasks, without_asking
from tests.evals.tau.retail import Retail
from tests.evals.tau.serving import serve
from tests.factories.jobs import new_tenant

TASKS = read_tasks()


@pytest.fixture
def bench(settings: Settings) -> Iterator[Bench]:
    tenant, retail = new_tenant(settings), Retail()
    policy = Path(__file__).with_name("policy.md").read_text(encoding="utf-8")
    with serve(retail) as url:
        yield Bench(retail, url, policy, tenant.database, tenant.principal.organization_id, tenant.principal.project_id)
    tenant.close()


@pytest.mark.parametrize("task", [TASKS[3], TASKS[5], TASKS[8]], ids=["two addresses", "a sum", "a return"])
def test_the_expected_actions_earn_a_reward(bench: Bench, task: Task) -> None:
    reward, output = bench.reward(task, expected_actions(task))
    assert reward == 1.0
    assert output.stopped == "ended"
    assert {action.status for action in output.actions} <= {"done"}
    # Each rests on the user's words; what rests on text from outside, on a person's approval too.
    assert all(action.requested_with for action in output.actions)


def test_a_model_that_claims_a_request_changes_nothing(bench: Bench) -> None:
    reward, output = bench.reward(TASKS[0], without_asking(TASKS[0]))
    assert (reward, output.actions) == (0.0, [])


def test_doing_nothing_earns_the_floor(bench: Bench) -> None:
    rewards = [bench.reward(task, nothing(task))[0] for task in (TASKS[0], TASKS[5], TASKS[10], TASKS[11])]
    assert rewards == [0.0, 0.0, 1.0, 1.0]
    assert floor(TASKS) == 2 / 12
