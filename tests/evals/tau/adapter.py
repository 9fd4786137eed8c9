"""Runs tasks of tau-bench through `agent.run`, and judges them as the paper does: by the data and what was said.

The user, the person who approves and, without a model of one's own, the model are played. The approver agrees to what
the task expects and to nothing else; the user confirms what the agent proposes.
"""

import json
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from pydantic import SecretStr

from core.capability import Answer as Given
from core.capability import JobSuspended
from core.gateway.service import open_gateway
from core.kit.db import Database
from core.kit.settings import Settings
from pipelines._kit.tools.client import McpClient
from pipelines._kit.tools.factory import Tools
from pipelines._kit.tools.servers import ToolPolicies
from pipelines.agent.graph import make_runner
from pipelines.agent.schemas import RunInput, RunOutput
from tests.evals.tau.retail import OURS, TOOLS, Retail
from tests.evals.tau.serving import tool_policies_at
from tests.factories.provider_simulator import Answer, ProviderSimulator, ToolUse
from tests.factories.questions import QuestionContext

AGREED = "Yes, please do that."
_ENDS = "Is there anything else?"


@dataclass(frozen=True, slots=True)
class Task:
    """What a user wants, the calls that do it, and what has to be said."""

    user_id: str
    instruction: str
    actions: tuple[Mapping[str, Any], ...]
    outputs: tuple[str, ...]


@dataclass(slots=True)
class RetailTools(Tools):
    """The tools of the domain, attached without a file."""

    attached: ToolPolicies | None = None

    @property
    def policies(self) -> ToolPolicies:
        """The operator's file."""
        assert self.attached is not None
        return self.attached


@dataclass(frozen=True, slots=True)
class Bench:
    """The domain, served at `url`, and where jobs are kept."""

    retail: Retail
    url: str
    policy: str
    database: Database
    organization_id: UUID
    project_id: UUID

    def reward(self, task: Task, scripts: Sequence[Answer]) -> tuple[float, RunOutput]:
        """1 when the data is as the expected actions leave it and all outputs were said, else 0; with the result."""
        self.retail.reset()
        output = self._run(task, scripts)
        expected = deepcopy(self.retail)
        expected.reset()
        for action in task.actions:
            expected.act(action["name"], action["kwargs"])
        said = " ".join(each.text for each in output.conversation if each.author == "agent").lower().replace(",", "")
        is_said = all(each.lower().replace(",", "") in said for each in task.outputs)
        return float(self.retail.digest == expected.digest and is_said), output

    def _run(self, task: Task, scripts: Sequence[Answer]) -> RunOutput:
        asked = RunInput(
            message=task.instruction, instructions=self.policy, delivery="act", converse=True, max_steps=100
        )
        ctx = QuestionContext(
            capability="agent.run",
            organization_id=self.organization_id,
            project_id=self.project_id,
            database=self.database,
        )
        client = McpClient()
        with ProviderSimulator(*scripts) as model:
            settings = Settings(model_base_url=model.base_url, model_api_key=SecretStr("key"), model_name="scripted")
            gateway = open_gateway(settings)
            runner = make_runner(gateway, RetailTools(settings, client, attached=tool_policies_at(self.url)))
            try:
                while True:
                    try:
                        return runner.run(ctx, asked)
                    except JobSuspended:
                        self._answer(ctx, task)
                        ctx = ctx.next_attempt()
            finally:
                gateway.close()
                client.close()

    def _answer(self, ctx: QuestionContext, task: Task) -> None:
        """As the user, or as the person who approves."""
        for key, question in ctx.questions.items():
            if key in ctx.answers:
                continue
            if key.startswith("turn-"):
                value: dict[str, Any] = {"message": None if _ENDS in question.question else AGREED}
            else:
                call = {"name": question.details["operation"], "kwargs": question.details["arguments"]}
                value = {"approved": call in [dict(action) for action in task.actions]}
            ctx.answers[key] = Given(value, "key_person", datetime.now(UTC))


def read_tasks(folder: Path = OURS) -> list[Task]:
    """The tasks of a folder with ``tasks.json``, in the form of the repository."""
    return [
        Task(each["user_id"], each["instruction"], tuple(each["actions"]), tuple(each["outputs"]))
        for each in json.loads((folder / "tasks.json").read_text("utf-8"))
    ]


def expected_actions(task: Task) -> list[Answer]:
    """A strong model that plays the expected actions: it asks before each change, and says the outputs."""
    scripts = []
    for number, action in enumerate(task.actions):
        name, given = action["name"], dict(action["kwargs"])
        if TOOLS.get(name, ((), False))[1]:
            scripts.append(Answer(f"I would {name.replace('_', ' ')}: {json.dumps(given)}. Do you agree?"))
            given["quoted_words"] = AGREED
        scripts.append(Answer(tool_calls=(ToolUse(name, given, id=f"call_{number}"),)))
    return [*scripts, Answer(" ".join(["That is done.", *task.outputs, _ENDS]))]


def nothing(_task: Task) -> list[Answer]:
    """A model that does nothing."""
    return [Answer(f"I am afraid that I cannot help. {_ENDS}")]


def without_asking(task: Task) -> list[Answer]:
    """A model that plays the expected actions and claims a request that the user has not made."""
    given = [
        ToolUse(each["name"], {**each["kwargs"], "quoted_words": AGREED}, id=f"call_{number}")
        for number, each in enumerate(task.actions)
    ]
    return [*(Answer(tool_calls=(each,)) for each in given), Answer(" ".join(["Done.", *task.outputs, _ENDS]))]


def unchanged(tasks: Sequence[Task]) -> float:
    """The share of tasks that change no data: what is earned at most by a model that changes nothing."""
    return sum(not _changes(task) for task in tasks) / len(tasks)


def floor(tasks: Sequence[Task]) -> float:
    """What doing nothing earns: the share of tasks that change no data and ask for nothing to be said."""
    return sum(not _changes(task) and not task.outputs for task in tasks) / len(tasks)


def _changes(task: Task) -> bool:
    return any(TOOLS[each["name"]][1] and each["name"] != "transfer_to_human_agents" for each in task.actions)
