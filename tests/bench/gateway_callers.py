"""Callers of one process, for `tests.bench.gateway`: ``python -m tests.bench.gateway_callers BASE_URL CALLERS``.

Says ``ready``, then makes one round of calls for every line that it reads, by the side that the line names, and answers
with a line of JSON: for each call the seconds to the first token and to the end, and the milliseconds of processor time
a call. So the rounds of several processes fall together.
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
from core.kit.settings import get_settings
from tests.factories.attempts import Attempt, worker_services
from tests.factories.calls import asked
from tests.factories.jobs import new_tenant

CALLS = 4
_PAUSE_SECONDS = 1.0
Call = Callable[[int], tuple[float, float]]


def main(base_url: str, callers: int) -> None:
    """Make rounds until the input ends."""
    settings = get_settings().model_copy(update={"model_base_url": base_url, "model_name": "main"})
    with ExitStack() as stack:
        tenant = new_tenant(settings)
        stack.callback(tenant.close)
        gateway = open_registered_gateway(settings)
        stack.callback(gateway.close)
        # Counting for the notes beside a call needs the tokenizer, which a worker has loaded long before.
        gateway.embedder().count_tokens("warm")
        services = stack.enter_context(worker_services(settings, pool_size=settings.database_pool_size))
        jobs = [Attempt(services, tenant.submit()) for _ in range(callers)]
        client = openai.OpenAI(base_url=base_url, api_key="key", max_retries=0)
        pool = stack.enter_context(ThreadPoolExecutor(callers))
        sides: dict[str, Call] = {
            "sdk": lambda _: _directly(client),
            "door": lambda number: _through(gateway, jobs[number]),
        }
        _say("ready")
        for line in sys.stdin:
            call = sides[line.strip()]
            began = process_time()
            made = pool.map(lambda at, call=call: _repeat(call, at), range(callers))
            found = [one for calls in made for one in calls]
            spent = (process_time() - began) / len(found) * 1000
            _say({"first": [first for first, _ in found], "whole": [whole for _, whole in found], "cpu_ms": spent})


def _say(answer: object) -> None:
    print(json.dumps(answer), flush=True)  # noqa: T201 - for the parent process


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
