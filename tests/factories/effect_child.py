"""Runs one job with one effect in a process of its own, which kills itself at a boundary of the effect.

``python -m tests.factories.effect_child`` reads one `Order` a line from its input, forks for each, and answers with how
the fork ended: what became of the effect, ``asked``, or ``killed``. It has one thread, so that a fork is safe, and has
imported both frameworks, so that a fork is quick.
"""

import gc
import json
import os
import signal
import sys
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, TypedDict
from uuid import UUID

from crewai.tools import BaseTool
from langgraph.graph import START
from pydantic import BaseModel

from core.capability import JobContext, JobSuspended
from core.jobs.effects.repository import StoredEffect
from core.kit.db import Executor
from core.kit.ids import JOB, encode
from core.kit.settings import Settings
from pipelines._kit.graph import GraphRunner, add_step, new_graph
from pipelines._kit.tools.box import ToolBox
from pipelines._kit.tools.client import McpClient
from pipelines._kit.tools.effects import EffectLog, Intent
from pipelines._kit.tools.policies import ToolServer
from pipelines.registry import manifests
from tests.factories.attempts import attempt
from tests.factories.effect_orders import Order
from tests.factories.effect_tools import tool_policies_at


def _kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


class KilledLog(EffectLog):
    """The log of effects in a process that dies at a boundary."""

    boundary = "never"

    def begin(self, session: Executor, intent: Intent, stored: StoredEffect | None) -> None:
        """Dies before the intent is committed."""
        if self.boundary == "before intent":
            _kill()
        super().begin(session, intent, stored)


class KilledClient(McpClient):
    """The real client in a process that dies before a call leaves, or after it was answered."""

    boundary = "never"

    def call(
        self, server: ToolServer, tool: str, arguments: Mapping[str, Any], *, check: Callable[[], None] | None = None
    ) -> dict[str, Any]:
        """Dies around the call of an effect."""
        if self.boundary == "after intent":
            _kill()
        answer = super().call(server, tool, arguments, check=check)
        if self.boundary == "after call":
            _kill()
        return answer


class _State(TypedDict, total=False):
    outcome: dict[str, Any]


class _Input(BaseModel):
    pass


class _Output(BaseModel):
    status: str


class _ToolOfCrew(BaseTool):
    name: str = "effect"
    description: str = "Carries the effect out."
    carry_out: Callable[[], dict[str, Any]]

    def _run(self) -> str:
        return json.dumps(self.carry_out())


def perform(order: Order, ctx: JobContext) -> str:
    """What became of the effect: the status of its outcome."""
    client = KilledClient()
    client.boundary = KilledLog.boundary = order.boundary

    def carry_out(on: JobContext) -> dict[str, Any]:
        box = ToolBox(on, tool_policies_at(order.url, timeout_seconds=3, approval_above=Decimal(1000)), client, "act")
        box._calls.effects = KilledLog(on)
        arguments = {"reference": order.reference}
        if order.operation == "pay":
            arguments["amount"] = "5.00"
        outcome = box.call(order.operation, arguments, call="0").plain()
        if order.boundary == "after receipt":
            _kill()
        return outcome

    def act(_state: Any, on: JobContext) -> Mapping[str, Any]:
        if order.framework == "crewai":
            return {"outcome": json.loads(_ToolOfCrew(carry_out=lambda: carry_out(on)).run())}
        return {"outcome": carry_out(on)}

    graph = new_graph(_State)
    add_step(graph, "act", act)
    graph.add_edge(START, "act")
    runner: GraphRunner[_Input, _Output] = GraphRunner(
        graph, begin=lambda _: {}, finish=lambda state: _Output(status=state["outcome"]["status"])
    )
    return runner.run(ctx, _Input()).status


def carry_out_here(settings: Settings, order: Order) -> str:
    """What became of the effect, or ``asked``, in this process; the job ends or waits accordingly."""
    with attempt(settings, encode(JOB, UUID(order.job))) as driven:
        try:
            status = perform(order, driven.context)
        except JobSuspended:
            driven.suspend("input")
            return "asked"
        driven.succeed(status=status)
        return status


def main() -> None:
    """Read orders and answer them, until the input ends."""
    settings = Settings()
    # What every fork needs: the manifests of all capabilities.
    manifests()
    gc.freeze()
    for line in sys.stdin:
        order = Order(**json.loads(line))
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            os.write(writing, carry_out_here(settings, order).encode())
            os._exit(0)
        os.close(writing)
        _, ended = os.waitpid(child, 0)
        with os.fdopen(reading) as answer:
            said = answer.read()
        killed = os.WIFSIGNALED(ended) and os.WTERMSIG(ended) == signal.SIGKILL
        sys.stdout.write(("killed" if killed else said or f"ended with {ended}") + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
