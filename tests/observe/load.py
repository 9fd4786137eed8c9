"""A little of everything: the shipped demo, the probe, a simulated model, streams, webhooks, tools."""

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import httpx

from tests.factories.processes import ROOT
from tests.factories.provider_simulator import Failure
from tests.factories.webhook_receiver import WebhookReceiver
from tests.observe.stack import MODEL, Stack

_DEMO_SECONDS = 900.0
_ROUNDS = 12
_HUM_SECONDS = 1.0


def prepare(stack: Stack) -> None:
    """A model that the simulated provider answers for, with prices, a budget, and a receiver's endpoint."""
    post = stack.http.post
    made = post("/v1/models", json={"name": MODEL}).raise_for_status().json()
    version = {
        "deployment": "simulated",
        "provider_model": MODEL,
        "context_window": 8192,
        "abilities": ["streams", "writes"],
    }
    post(f"/v1/models/{made['id']}/versions", json=version).raise_for_status()
    promoted = {"version": 1, "reason": "the first"}
    post(f"/v1/models/{made['id']}/promote", json=promoted).raise_for_status()
    for unit in ("input_tokens", "output_tokens"):
        price = {"provider": "openai-compatible", "model": MODEL, "unit": unit, "usd_per_unit": "0.0001"}
        stack.http.post("/v1/prices", json=price).raise_for_status()
    for name, is_hard in (("stops", True), ("warns", False)):
        budget = {"name": name, "period": "day", "limit_usd": "1000", "scope": "organization", "hard": is_hard}
        post("/v1/budgets", json=budget).raise_for_status()


def run_demo(stack: Stack) -> str:
    """Every shipped capability once; returns what is worth saying of it. Raises AssertionError when it fails."""
    variables = {name: value for name, value in os.environ.items() if not name.startswith("WAYBILL_")}
    done = subprocess.run(
        [sys.executable, "-m", "waybill", "demo", "--json", "--no-flower"],
        env={**variables, "PYTHONPATH": str(ROOT), "WAYBILL_HOME": str(stack.home)},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=_DEMO_SECONDS,
    )
    assert done.returncode == 0, f"{done.stdout[-1000:]}{done.stderr[-2000:]}"
    return "waybill demo: every shipped capability once"


def run_rounds(stack: Stack) -> str:
    """Jobs of every outcome, chats that succeed, fail and are tried again, streams that are read, webhooks."""
    with WebhookReceiver() as receiver:
        endpoint = stack.http.post("/v1/webhook-endpoints", json={"url": receiver.url}).raise_for_status().json()["id"]
        for number in range(_ROUNDS):
            if number % 4 == 3:
                stack.mood.next(Failure(status=429, retry_after="1"))
            jobs = [
                stack.probe(),
                stack.probe("stream", chunks=20, seconds=0.05),
                stack.probe("fail", retryable=False),
                stack.probe("ask", model=MODEL, note="Hello?"),
                stack.submit("models.chat", {"model": MODEL, "messages": [{"role": "user", "content": "Hello?"}]}),
                stack.embed(),
            ]
            read_stream(stack, jobs[1])
            for job in jobs:
                stack.http.get(f"/v1/jobs/{job}", params={"wait": 30})
        stack.http.delete(f"/v1/webhook-endpoints/{endpoint}")
    return f"{_ROUNDS} rounds of jobs, streams, model calls and webhooks"


def read_stream(stack: Stack, job: str) -> None:
    """Read a job's events to their end."""
    with stack.http.stream("GET", f"/v1/jobs/{job}/events") as answer:
        for line in answer.iter_lines():
            if line.startswith("event: job.") and line.removeprefix("event: job.") in {"succeeded", "failed"}:
                return


@contextmanager
def repeated(act: Callable[[], object], every_seconds: float = _HUM_SECONDS) -> Iterator[None]:
    """Do it again and again beside the block; what a fault makes of it is expected."""
    stopping = threading.Event()

    def work() -> None:
        while not stopping.wait(every_seconds):
            with suppress(httpx.HTTPError):
                act()

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stopping.set()
        thread.join(60)


@contextmanager
def hum(stack: Stack) -> Iterator[None]:
    """What goes on in every installation: requests that are answered, and a job a second of another pool."""
    with repeated(
        lambda: (
            stack.embed(),
            stack.http.get("/v1/jobs"),
        )
    ):
        yield
