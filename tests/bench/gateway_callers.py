"""Callers of one process, for `tests.bench.gateway`: ``python -m tests.bench.gateway_callers BASE_URL CALLERS``.

Prints one line of JSON: for each side the seconds to the first token and to the end of every call, and the milliseconds
of processor time a call.
"""

import json
import random
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from time import perf_counter, process_time, sleep

import openai

from core.gateway.routing import CHAT
from core.gateway.service import Gateway, open_registered_gateway
from core.kit.ids import JOB, encode
from core.kit.settings import get_settings
from tests.factories.attempts import Attempt, attempt
from tests.factories.calls import asked
from tests.factories.jobs import new_tenant

ROUNDS, CALLS = 3, 4
_PAUSE_SECONDS = 1.0
Call = Callable[[int], tuple[float, float]]


def main(base_url: str, callers: int) -> None:
    """Measure both sides, in alternating rounds; the first round of each warms up."""
    settings = get_settings().model_copy(update={"model_base_url": base_url, "model_name": "main"})
    with ExitStack() as stack:
        tenant = new_tenant(settings)
        stack.callback(tenant.close)
        gateway = open_registered_gateway(settings)
        stack.callback(gateway.close)
        # Counting for the notes beside a call needs the tokenizer, which a worker has loaded long before.
        gateway.embedder().count_tokens("warm")
        jobs = [stack.enter_context(attempt(settings, encode(JOB, tenant.submit()))) for _ in range(callers)]
        client = openai.OpenAI(base_url=base_url, api_key="key", max_retries=0)
        pool = stack.enter_context(ThreadPoolExecutor(callers))
        sides: dict[str, Call] = {
            "sdk": lambda _: _directly(client),
            "door": lambda number: _through(gateway, jobs[number]),
        }
        taken: dict[str, list[tuple[float, float]]] = {name: [] for name in sides}
        cpu: dict[str, list[float]] = {name: [] for name in sides}
        for number in range(ROUNDS + 1):
            for name, call in sides.items():
                began = process_time()
                found = [
                    one for calls in pool.map(lambda at, call=call: _repeat(call, at), range(callers)) for one in calls
                ]
                if number:
                    taken[name] += found
                    cpu[name].append((process_time() - began) / len(found))
    print(  # noqa: T201 - for the parent process
        json.dumps(
            {
                name: {
                    "first": [first for first, _ in taken[name]],
                    "whole": [whole for _, whole in taken[name]],
                    "cpu_ms": [sum(cpu[name]) / len(cpu[name]) * 1000],
                }
                for name in sides
            }
        )
    )


def _repeat(call: Call, number: int) -> list[tuple[float, float]]:
    found = []
    for _ in range(CALLS):
        # Callers that all begin at once would measure how they wait for each other.
        sleep(random.uniform(0, _PAUSE_SECONDS))
        found.append(call(number))
    return found


def _directly(client: openai.OpenAI) -> tuple[float, float]:
    began, first = perf_counter(), 0.0
    with client.chat.completions.create(
        model="main",
        messages=[{"role": "user", "content": "Tell me about parcels."}],
        max_tokens=64,
        temperature=0.0,
        stream=True,
        stream_options={"include_usage": True},
    ) as stream:
        for event in stream:
            if not first and event.choices and event.choices[0].delta.content:
                first = perf_counter() - began
    return first, perf_counter() - began


def _through(gateway: Gateway, job: Attempt) -> tuple[float, float]:
    began, first = perf_counter(), 0.0
    with gateway.for_job(job.context).chat(CHAT, asked()) as stream:
        for chunk in stream:
            if not first and chunk.text:
                first = perf_counter() - began
    return first, perf_counter() - began


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
