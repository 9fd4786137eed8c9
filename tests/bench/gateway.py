"""What the door adds to a call: against the provider's own SDK, on the simulator, on real Postgres and Redis.

``python -m tests.bench gateway``. Fifty callers in five processes, as the children of worker pools are, each with a
pause of its own between calls, so that fifty calls run at once and none waits for a processor that another one's
Python holds. Both sides have the same processes, threads and simulator; rounds of the two sides alternate, in all
processes at the same time, and the first of each side warms up.
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from core.kit.settings import Settings
from tests.bench.rows import Row, bounded
from tests.factories.processes import ROOT, environment
from tests.factories.provider_simulator import Answer, ProviderSimulator

PROCESSES, CALLERS, ROUNDS = 5, 10, 3
SIDES = ("sdk", "door")
_THOUSAND = 1000.0
# About what a chat model does: the first token after half a second, then thirty tokens a second.
ANSWER = Answer(*[" word"] * 30, first_token_seconds=0.5, delta_seconds=0.033)


def run(settings: Settings) -> list[Row]:
    """Milliseconds that the door adds to a whole call and to its first token; processor time a call."""
    alone = _measure(settings, processes=1, callers=1)
    many = _measure(settings, processes=PROCESSES, callers=CALLERS)
    rows = [
        *_rows("gateway alone", alone),
        bounded("gateway overhead p50", "ms", _added(many, "whole", 0.5), at_most=3),
        bounded("gateway overhead p95", "ms", _added(many, "whole", 0.95), at_most=8),
        bounded("gateway first token p50", "ms", _added(many, "first", 0.5), at_most=2),
    ]
    sdk, gateway = (sum(many[side]["cpu_ms"]) / len(many[side]["cpu_ms"]) for side in SIDES)
    rows.append(Row("gateway processor time", round(gateway, 2), "ms a call", round(sdk, 2), round(gateway / sdk, 2)))
    return rows


def _rows(name: str, measured: dict[str, dict[str, list[float]]]) -> list[Row]:
    return [
        Row(f"{name}, whole call p50", round(_added(measured, "whole", 0.5), 2), "ms"),
        Row(f"{name}, first token p50", round(_added(measured, "first", 0.5), 2), "ms"),
    ]


def _added(measured: dict[str, dict[str, list[float]]], what: str, share: float) -> float:
    gateway, sdk = (sorted(measured[side][what]) for side in reversed(SIDES))
    return (_at(gateway, share) - _at(sdk, share)) * _THOUSAND


def _at(values: list[float], share: float) -> float:
    return values[int(share * (len(values) - 1))]


def _measure(settings: Settings, *, processes: int, callers: int) -> dict[str, dict[str, list[float]]]:
    measured: dict[str, dict[str, list[float]]] = {side: {"first": [], "whole": [], "cpu_ms": []} for side in SIDES}
    with ProviderSimulator(ANSWER) as provider, ExitStack() as stack:
        children = [stack.enter_context(_child(settings, provider.base_url, callers)) for _ in range(processes)]
        for child in children:
            _hear(child)
        for number in range(ROUNDS + 1):
            for side in SIDES:
                for child in children:
                    child.stdin.write(f"{side}\n")
                    child.stdin.flush()
                found = [_hear(child) for child in children]
                if number:
                    for each in found:
                        measured[side]["first"] += each["first"]
                        measured[side]["whole"] += each["whole"]
                        measured[side]["cpu_ms"].append(each["cpu_ms"])
    return measured


@contextmanager
def _child(settings: Settings, base_url: str, callers: int) -> Iterator[Any]:
    with subprocess.Popen(
        [sys.executable, "-m", "tests.bench.gateway_callers", base_url, str(callers)],
        env=environment(settings),
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as child:
        try:
            yield child
        finally:
            # Its input ends, and so does it.
            child.stdin.close()  # type: ignore[union-attr]
            child.wait()


def _hear(child: Any) -> Any:
    line = child.stdout.readline()
    if not line:
        raise RuntimeError("a process of the benchmark ended early; run tests.bench.gateway_callers to see why")
    return json.loads(line)
