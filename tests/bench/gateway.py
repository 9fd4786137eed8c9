"""What the door adds to a call: against the provider's own SDK, on the simulator, on real Postgres.

``python -m tests.bench gateway``. Fifty callers share the process, as the threads of a worker do. The simulator runs in
the same process for both sides, so its own work cancels out; rounds of the two sides alternate.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from time import perf_counter

import openai

from core.gateway.routing import CHAT
from core.gateway.service import Gateway
from core.kit.ids import JOB, encode
from core.kit.settings import Settings
from tests.bench.rows import Row, bounded
from tests.factories.attempts import Attempt, attempt
from tests.factories.calls import asked, simulated
from tests.factories.jobs import new_tenant
from tests.factories.provider_simulator import Answer, ProviderSimulator

CALLERS = 50
ROUNDS, CALLS = 4, 4
_THOUSAND = 1000.0
Call = Callable[[int], tuple[float, float]]


def run(settings: Settings) -> list[Row]:
    """Milliseconds that the door adds to a whole call (p50, p95) and to the first token (p50), at 50 callers."""
    with ExitStack() as stack:
        tenant = new_tenant(settings)
        stack.callback(tenant.close)
        answer = Answer(*[" word"] * 8, first_token_seconds=0.1, delta_seconds=0.02)
        provider = stack.enter_context(ProviderSimulator(answer))
        gateway, _ = stack.enter_context(simulated(settings, main=provider))
        jobs = [
            stack.enter_context(attempt(settings, encode(JOB, tenant.submit(priority="normal"))))
            for _ in range(CALLERS)
        ]
        client = openai.OpenAI(base_url=provider.base_url, api_key="key", max_retries=0)
        pool = stack.enter_context(ThreadPoolExecutor(CALLERS))
        sides: dict[str, Call] = {
            "sdk": lambda _: _directly(client),
            "door": lambda number: _through(gateway, jobs[number]),
        }
        taken: dict[str, list[tuple[float, float]]] = {name: [] for name in sides}
        for number in range(ROUNDS + 1):
            for name, call in sides.items():
                found = [one for _ in range(CALLS) for one in pool.map(call, range(CALLERS))]
                if number:
                    taken[name] += found
    (first, whole) = ({name: sorted(pair[place] for pair in taken[name]) for name in sides} for place in (0, 1))

    def added(values: dict[str, list[float]], share: float) -> float:
        place = int(share * (len(values["sdk"]) - 1))
        return (values["door"][place] - values["sdk"][place]) * _THOUSAND

    return [
        bounded("gateway overhead p50", "ms", added(whole, 0.5), at_most=3),
        bounded("gateway overhead p95", "ms", added(whole, 0.95), at_most=8),
        bounded("gateway first token p50", "ms", added(first, 0.5), at_most=2),
    ]


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
