"""What the door adds to a call: against the provider's own SDK, on the simulator, on real Postgres and Redis.

``python -m tests.bench gateway``. Fifty callers in five processes, as the children of worker pools are, each with a
pause of its own between calls, so that fifty calls run at once and none waits for a processor that another one's
Python holds. Both sides have the same processes, threads and simulator; rounds of the two sides alternate.
"""

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

from core.kit.settings import Settings
from tests.bench.rows import Row, bounded
from tests.factories.processes import ROOT, environment
from tests.factories.provider_simulator import Answer, ProviderSimulator

PROCESSES, CALLERS = 5, 10
_TIMEOUT_SECONDS = 600
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
    sdk, door = (many[side]["cpu_ms"][0] for side in ("sdk", "door"))
    rows.append(Row("gateway processor time", round(door, 2), "ms a call", round(sdk, 2), round(door / sdk, 2)))
    return rows


def _rows(name: str, measured: dict[str, dict[str, list[float]]]) -> list[Row]:
    return [
        Row(f"{name}, whole call p50", round(_added(measured, "whole", 0.5), 2), "ms"),
        Row(f"{name}, first token p50", round(_added(measured, "first", 0.5), 2), "ms"),
    ]


def _added(measured: dict[str, dict[str, list[float]]], what: str, share: float) -> float:
    door, sdk = (sorted(measured[side][what]) for side in ("door", "sdk"))
    return (_at(door, share) - _at(sdk, share)) * _THOUSAND


def _at(values: list[float], share: float) -> float:
    return values[int(share * (len(values) - 1))]


def _measure(settings: Settings, *, processes: int, callers: int) -> dict[str, dict[str, list[float]]]:
    with ProviderSimulator(ANSWER) as provider, ThreadPoolExecutor(processes) as pool:
        found = list(pool.map(lambda _: _child(settings, provider.base_url, callers), range(processes)))
    return {
        side: {
            "first": [value for each in found for value in each[side]["first"]],
            "whole": [value for each in found for value in each[side]["whole"]],
            "cpu_ms": [sum(each[side]["cpu_ms"][0] for each in found) / len(found)],
        }
        for side in ("sdk", "door")
    }


def _child(settings: Settings, base_url: str, callers: int) -> dict[str, dict[str, list[float]]]:
    ran = subprocess.run(
        [sys.executable, "-m", "tests.bench.gateway_callers", base_url, str(callers)],
        env=environment(settings),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=_TIMEOUT_SECONDS,
        check=False,
    )
    if ran.returncode:
        raise RuntimeError(ran.stderr[-2000:])
    measured: dict[str, dict[str, list[float]]] = json.loads(ran.stdout.splitlines()[-1])
    return measured
