"""Capabilities for tests: they do nothing, wait, stream, fail, die or ignore cancellation, as their input says."""

import os
import signal
import time
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from core.capability import JobContext, JobSuspended, Manifest, ModelUsage
from core.kit.errors import CapabilityFailure
from tests.factories.echo_capability import ECHO
from tests.factories.question_capabilities import ASK, FAN

SPENDING_MODEL = "local/probe"


class ProbeInput(BaseModel):
    model_config = ConfigDict(extra="forbid")

    act: Literal[
        "noop",
        "sleep",
        "stream",
        "fail",
        "crash",
        "die",
        "stubborn",
        "suspend",
        "bad_output",
        "large",
        "spend",
        "ask",
        "exit",
        "grow",
    ] = "noop"
    seconds: float = Field(0.0, ge=0, le=600)
    chunks: int = Field(0, ge=0, le=100_000)
    until_attempt: int = Field(1_000, description="Misbehave on attempts up to this one, then succeed.")
    retryable: bool = True
    marker: str | None = Field(None, description="A file to which every attempt appends a line when it starts to work.")
    release: str | None = Field(None, description="A file whose appearance ends the wait of the act `grow`.")
    note: str = ""
    megabytes: int = Field(0, ge=0, le=4_000, description="What the act `grow` holds while it waits for `seconds`.")
    calls: int = Field(1, ge=1, le=100, description="Model calls of the act `spend`, one after the other.")
    bound_tokens: int = Field(100, ge=0, description="What each call may use at most.")
    used_tokens: int | None = Field(None, description="What each call reports; nothing when absent.")
    model: str = Field("default", description="Which model the act `ask` asks for an answer to `note`.")


class ProbeOutput(BaseModel):
    attempt: int
    said: str = ""


class Probe:
    """Runs `ProbeInput.act`."""

    def run(self, ctx: JobContext, payload: ProbeInput) -> BaseModel:
        if payload.marker:
            with open(payload.marker, "a", encoding="utf-8") as file:  # noqa: PTH123 - append is atomic this way
                file.write(f"{ctx.job_id} {ctx.attempt}\n")
        said = payload.note
        if ctx.attempt <= payload.until_attempt:
            said = self._act(ctx, payload)
        return ProbeOutput(attempt=ctx.attempt, said=said)

    def _act(self, ctx: JobContext, payload: ProbeInput) -> str:  # noqa: C901, PLR0912 - a case for every act
        match payload.act:
            case "sleep":
                self._wait(ctx, payload.seconds)
            case "stream":
                return self._stream(ctx, payload)
            case "fail":
                raise CapabilityFailure("asked to fail", code="asked_to_fail", retryable=payload.retryable)
            case "crash":
                raise RuntimeError(f"a secret that must not leave the worker: hunter2 {payload.note}")
            case "die":
                os.kill(os.getpid(), signal.SIGKILL)
            case "exit":
                os._exit(11)
            case "grow":
                self._grow(ctx, payload)
            case "stubborn":
                time.sleep(payload.seconds)
            case "suspend":
                raise JobSuspended("input")
            case "bad_output":
                return 5  # type: ignore[return-value]
            case "large":
                return "x" * 200_000
            case "spend":
                for _ in range(payload.calls):
                    self._spend(ctx, payload)
            case "ask":
                return self._ask(ctx, payload)
        return payload.note

    @staticmethod
    def _ask(ctx: JobContext, payload: ProbeInput) -> str:
        from core.gateway.models import ChatRequest, Text
        from pipelines._kit.resources import get_gateway

        request = ChatRequest.of_parts((Text(payload.note or "Well?"),), max_output_tokens=64)
        with get_gateway().for_job(ctx).chat(payload.model, request) as stream:
            return "".join(chunk.text for chunk in stream)

    @staticmethod
    def _spend(ctx: JobContext, payload: ProbeInput) -> None:
        with ctx.call_model(SPENDING_MODEL, {"output_tokens": payload.bound_tokens}) as call:
            if payload.used_tokens is not None:
                call.report(ModelUsage(SPENDING_MODEL, {"output_tokens": payload.used_tokens}))
            Probe._wait(ctx, payload.seconds)

    @staticmethod
    def _wait(ctx: JobContext, seconds: float) -> None:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            ctx.check()
            time.sleep(min(0.02, max(0.0, until - time.monotonic())))

    @staticmethod
    def _grow(ctx: JobContext, payload: ProbeInput) -> None:
        held = []
        for _ in range(payload.megabytes // 10):
            held.append(b"x" * 10_000_000)
            Probe._wait(ctx, 0.02)
        if payload.release is None:
            Probe._wait(ctx, payload.seconds)
        else:
            while not os.path.exists(payload.release):  # noqa: PTH110 - one call, no object
                Probe._wait(ctx, 0.05)

    @staticmethod
    def _stream(ctx: JobContext, payload: ProbeInput) -> str:
        words = []
        with ctx.step("speak"):
            for index in range(payload.chunks):
                words.append(f"word{index} ")
                ctx.delta(words[-1])
                time.sleep(payload.seconds)
        return "".join(words)


def build() -> Probe:
    return Probe()


PROBE = Manifest(
    shadowable=True,
    id="probe.act",
    version="1",
    title="Probe",
    description="A capability for tests.",
    input=ProbeInput,
    output=ProbeOutput,
    entry="tests.factories.capabilities:build",
)
# A second pool, so that tests can show that one never holds back the other.
OTHER = Manifest(
    id="other.act",
    version="1",
    title="Other probe",
    description="A capability for tests.",
    input=ProbeInput,
    output=ProbeOutput,
    entry="tests.factories.capabilities:build",
)
# A pool of its own: the workers of the others need not load an agent framework.
AGENT = Manifest(
    shadowable=True,
    id="agent.act",
    version="1",
    title="Spending graph",
    description="A LangGraph capability for tests: three nodes, a paid call in each.",
    input=ProbeInput,
    output=ProbeOutput,
    entry="tests.factories.spending_graph:build",
)
ALL = (PROBE, OTHER, AGENT, ASK, FAN, ECHO)
