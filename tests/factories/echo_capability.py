"""A capability for tests that gives back what it was given, or a value that no JSON from outside could hold."""

import json
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from core.capability import ChildCall, JobContext, Manifest, StoredCheckpoint
from core.kit.errors import CapabilityFailure

Where = Literal["result", "event", "checkpoint", "question", "child", "delta", "artifact", "failure", "crash"]


class EchoInput(BaseModel):
    model_config = ConfigDict(extra="forbid")

    value: Any = None
    made: str | None = None
    where: Where = "result"


class EchoOutput(BaseModel):
    value: Any


def make(name: str) -> Any:
    """A value that models, tools and services do return."""
    nested: Any = 1
    for _ in range(5000):
        nested = [nested]
    made: dict[str, Any] = {
        "nul": "a\x00b",
        "surrogate": "bad \ud83d half",
        "wide": 2**80,
        "huge": 10**400,
        "avogadro": 6.02214076e23,
        "nan": float("nan"),
        "infinity": float("inf"),
        "deep": nested,
        "long": json.dumps("x" * 300_000),
    }
    return made[name]


class Echo:
    """Puts the value where `EchoInput.where` says, and returns it when that is the result."""

    def run(self, ctx: JobContext, payload: EchoInput) -> BaseModel:
        value = payload.value if payload.made is None else make(payload.made)
        match payload.where:
            case "event":
                ctx.emit("echo.said", {"value": value})
            case "delta":
                ctx.delta(value if isinstance(value, str) else payload.where)
            case "checkpoint":
                ctx.checkpoints().save(StoredCheckpoint("", "1", None, "json", b"{}", {"value": value}))
            case "question":
                question = value if isinstance(value, str) else "Well?"
                ctx.ask("well", question, {"type": "object"}, details={"value": value})
            case "child":
                ctx.call_all([ChildCall("echo", "probe.echo", {"value": value})])
            case "artifact":
                ctx.artifact("echo.json", json.dumps({"value": value}).encode(), "application/json")
                ctx.artifact("echo.txt", str(value).encode(), "text/plain")
            case "failure":
                raise CapabilityFailure(str(value), code="echo_failed", retryable=False)
            case "crash":
                raise RuntimeError(value)
            case "result":
                return EchoOutput.model_construct(value=value)
        return EchoOutput(value="done")


def build() -> Echo:
    return Echo()


ECHO = Manifest(
    id="probe.echo",
    version="1",
    title="Echo",
    description="A capability for tests.",
    input=EchoInput,
    output=EchoOutput,
    entry="tests.factories.echo_capability:build",
)
