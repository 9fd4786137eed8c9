"""Capabilities that ask people and call other capabilities, for tests."""

import os
import signal
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from core.capability import ChildCall, JobContext, Manifest

REFUND_SCHEMA = {
    "type": "object",
    "properties": {"approved": {"type": "boolean"}, "note": {"type": "string", "maxLength": 200}},
    "required": ["approved"],
    "additionalProperties": False,
}


class AskInput(BaseModel):
    model_config = ConfigDict(extra="forbid")

    keys: list[str] = Field(default_factory=lambda: ["approve"], description="One question after the other.")
    timeout_seconds: int = 3600
    approves: Literal["write", "money"] | None = Field(None, description="What the answers approve.")
    ledger: str | None = Field(None, description="A file that gets a line each time the refund is made.")


class AskOutput(BaseModel):
    attempt: int
    answers: dict[str, Any]


class Asker:
    """Asks, and acts once it was answered."""

    def run(self, ctx: JobContext, payload: AskInput) -> AskOutput:
        answers = {}
        for key in payload.keys:
            answer = ctx.ask(
                key,
                f"May {key} be refunded?",
                REFUND_SCHEMA,
                details={"amount_usd": "250.00"},
                timeout_seconds=payload.timeout_seconds,
                approves=payload.approves,
            )
            answers[key] = {"value": answer.value, "by": answer.answered_by, "timed_out": answer.timed_out}
        if payload.ledger:
            with Path(payload.ledger).open("a", encoding="utf-8") as file:
                file.write(f"{ctx.job_id}\n")
        return AskOutput(attempt=ctx.attempt, answers=answers)


class FanInput(BaseModel):
    model_config = ConfigDict(extra="forbid")

    children: list[dict[str, Any]] = Field(description="The input of each child, a probe unless it says otherwise.")
    capability: str = "other.act"
    deadlines: dict[int, int] = Field(default_factory=dict, description="Seconds, by the place of a child.")
    caps: dict[int, str] = Field(default_factory=dict, description="US dollars, by the place of a child.")
    die: Literal["", "after_start"] = Field("", description="Kill the worker once the children have been submitted.")
    marker: str | None = None


class FanOutput(BaseModel):
    attempt: int
    outcomes: list[dict[str, Any]]


class Fan:
    """Calls children and reports how they ended."""

    def run(self, ctx: JobContext, payload: FanInput) -> FanOutput:
        calls = [
            ChildCall(
                f"child-{place}",
                child.get("capability", payload.capability),
                child.get("payload", child) if "capability" in child else child,
                max_cost_usd=Decimal(payload.caps[place]) if place in payload.caps else None,
                deadline_seconds=payload.deadlines.get(place),
            )
            for place, child in enumerate(payload.children)
        ]
        try:
            outcomes = ctx.call_all(calls)
        except BaseException:
            if payload.die and ctx.attempt == 1:
                os.kill(os.getpid(), signal.SIGKILL)
            raise
        return FanOutput(
            attempt=ctx.attempt,
            outcomes=[
                {
                    "key": outcome.key,
                    "job_id": str(outcome.job_id),
                    "state": outcome.state,
                    "result": outcome.result,
                    "code": None if outcome.error is None else outcome.error["code"],
                    "cost_usd": str(outcome.cost_usd),
                }
                for outcome in outcomes
            ],
        )


def build_asker() -> Asker:
    return Asker()


def build_fan() -> Fan:
    return Fan()


ASK = Manifest(
    id="probe.ask",
    version="1",
    title="Asker",
    description="Asks a person, for tests.",
    input=AskInput,
    output=AskOutput,
    entry="tests.factories.question_capabilities:build_asker",
)
FAN = Manifest(
    id="probe.fan",
    version="1",
    title="Fan",
    description="Calls child jobs, for tests.",
    input=FanInput,
    output=FanOutput,
    entry="tests.factories.question_capabilities:build_fan",
)
