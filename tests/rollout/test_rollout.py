"""A canary on its way: raised while it is well, brought back when it is not, or when nothing can be said of it.

helm and kubectl are programs that write down how they were called; what the chart makes of the values is checked in
tests/chart, and what Prometheus makes of the queries in test_queries.py.
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from infra.rollout.__main__ import main
from tests.factories.processes import ROOT
from tests.factories.prometheus_answers import Figures, PrometheusAnswers
from tests.factories.waiting import wait_until

WELL: Figures = (1000.0, 1.0, 0.2)
_PROGRAM = """#!{python}
import json, os, sys
with open({calls!r}, "a") as file:
    file.write(json.dumps([os.path.basename(sys.argv[0]), *sys.argv[1:]]) + "\\n")
if "status" in sys.argv:
    print(json.dumps({{"version": 7, "info": {{"status": "deployed"}}}}))
if "deployments" in sys.argv:
    print(3)
failing = os.environ.get("FAILING")
sys.exit("it does not become ready" if failing and failing in " ".join(sys.argv) else 0)
"""


class Programs:
    """helm and kubectl of a test."""

    def __init__(self, folder: Path) -> None:
        self._calls = folder / "calls"
        self._calls.touch()
        for name in ("helm", "kubectl"):
            path = folder / name
            path.write_text(_PROGRAM.format(python=sys.executable, calls=str(self._calls)), encoding="utf-8")
            path.chmod(0o755)

    def changes(self) -> list[list[str]]:
        """How helm was called to change something, without the words that are always the same."""
        calls = [json.loads(line) for line in self._calls.read_text(encoding="utf-8").splitlines()]
        always = {"--reset-then-reuse-values", "--wait", "--timeout", "15m"}
        assert all(call[-2:] == ["--namespace", "waybill"] for call in calls)
        said = [[word for word in call[1:-2] if word not in always] for call in calls]
        return [[Path(word).name for word in call] for call in said if call[0] in {"upgrade", "rollback"}]

    def weight(self) -> int:
        """The canary's share now."""
        found = [word for call in self.changes() for word in call if word.startswith("api.canary.weight=")]
        return int(found[-1].partition("=")[2]) if found else 0


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Programs:
    made = Programs(tmp_path)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    return made


@pytest.fixture
def prometheus() -> Iterator[PrometheusAnswers]:
    with PrometheusAnswers(lambda _: WELL) as answers:
        yield answers


@pytest.fixture
def roll(prometheus: PrometheusAnswers) -> Iterator[Callable[..., int]]:
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)}

    def carry_out(*arguments: str) -> int:
        quick = ("--prometheus", prometheus.url, "--observe", "1", "--interval", "0.2")
        return main(["0.2.0", *arguments, *quick])

    yield carry_out
    for number, handler in handlers.items():
        signal.signal(number, handler)


BACK = ["rollback", "waybill", "7", "--no-hooks"]


def test_a_canary_that_is_well_becomes_the_release(programs: Programs, roll: Callable[..., int]) -> None:
    assert roll("api", "knowledge", "--steps", "10,50") == 0
    first, second, release, end = programs.changes()
    assert first == [
        *("upgrade", "waybill", "waybill"),
        *("--set-string", "migrate.tag=0.2.0"),
        *("--set-string", "api.canary.tag=0.2.0", "--set", "api.canary.replicas=3", "--set", "api.canary.weight=10"),
        *("--set-string", "pools.knowledge.canary.tag=0.2.0", "--set", "pools.knowledge.canary.replicas=1"),
    ]
    # Migrations run once, with the first step; from then on both releases run on the newer schema.
    assert second[-1] == "--no-hooks"
    assert "api.canary.weight=50" in second
    assert release == ["upgrade", "waybill", "waybill", "--set-string", "images.tag=0.2.0", "--no-hooks"]
    assert {"migrate.tag=", "api.canary.weight=0", "api.canary.replicas=0", "pools.knowledge.canary.replicas=0"} <= {
        *end
    }


@pytest.mark.parametrize(
    ("figures", "why"),
    [
        ((1000.0, 30.0, 0.2), "3.0% of the requests are answered 5xx, 1.1% are allowed"),
        ((1000.0, 1.0, 0.5), "p95 is 0.5 s, 0.3 s are allowed"),
        ((4.0, 0.0, 0.1), "too little happened"),
        (None, "too little happened"),
    ],
)
def test_it_is_brought_back_when_it_is_worse_or_nothing_is_known_of_it(
    *,
    programs: Programs,
    prometheus: PrometheusAnswers,
    roll: Callable[..., int],
    capsys: pytest.CaptureFixture[str],
    figures: Figures | None,
    why: str,
) -> None:
    prometheus.figures = lambda process: figures if process == "api-canary" and programs.weight() == 25 else WELL
    assert roll() == 1
    assert [call[0] for call in programs.changes()] == ["upgrade", "upgrade", "rollback"]
    assert programs.changes()[-1] == BACK
    assert why in capsys.readouterr().out


def test_workers_are_judged_by_the_attempts_that_fail(
    programs: Programs, prometheus: PrometheusAnswers, roll: Callable[..., int]
) -> None:
    prometheus.figures = lambda process: (20.0, 2.0, 0.0) if process == "worker-knowledge-canary" else (20.0, 0.0, 0.0)
    assert roll("knowledge=2") == 1
    first, back = programs.changes()
    assert "pools.knowledge.canary.replicas=2" in first
    assert not any(word.startswith("api.") for word in first)
    assert back == BACK


def test_silence_of_prometheus_brings_it_back(
    programs: Programs, prometheus: PrometheusAnswers, roll: Callable[..., int]
) -> None:
    def figures(_: str) -> Figures:
        prometheus.status = 503 if programs.weight() else 200
        return WELL

    prometheus.figures = figures
    assert roll() == 1
    assert [call[0] for call in programs.changes()] == ["upgrade", "rollback"]


def test_a_release_that_does_not_become_ready_is_brought_back(
    programs: Programs, roll: Callable[..., int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAILING", "images.tag=")
    assert roll() == 1
    assert programs.changes()[-1] == BACK


def test_a_way_back_that_fails_says_so(
    programs: Programs, roll: Callable[..., int], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FAILING", "--wait")
    assert roll() == 3
    assert programs.changes()[-1] == BACK
    assert "act by hand" in capsys.readouterr().out


def test_nothing_is_begun_without_something_to_compare_with(
    programs: Programs, prometheus: PrometheusAnswers, roll: Callable[..., int]
) -> None:
    prometheus.figures = lambda _: None
    assert roll() == 2
    assert programs.changes() == []


@pytest.mark.parametrize(("p95_seconds", "code"), [(0.25, 0), (0.5, 1)])
def test_blue_green_is_compared_with_what_was_before(
    programs: Programs, prometheus: PrometheusAnswers, roll: Callable[..., int], p95_seconds: float, code: int
) -> None:
    def figures(process: str) -> Figures | None:
        if process == "api-canary":
            return (1000.0, 1.0, p95_seconds)
        # All requests go to the canary, until what runs beside it is the same release.
        return None if programs.weight() == 100 and len(programs.changes()) == 1 else WELL

    prometheus.figures = figures
    assert roll("--steps", "100") == code
    assert len(programs.changes()) == (3 if code == 0 else 2)


def test_a_rehearsal_changes_nothing(
    programs: Programs, roll: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    assert roll("api", "models", "--dry-run") == 0
    assert programs.changes() == []
    said = capsys.readouterr().out
    assert said.count("helm upgrade waybill") == 5
    assert 'waybill_io_process="worker-models-canary",outcome="failed"' in said


def test_an_interrupted_rollout_goes_back(programs: Programs, prometheus: PrometheusAnswers) -> None:
    command = [sys.executable, "-m", "infra.rollout", "0.2.0", "--prometheus", prometheus.url, "--interval", "0.2"]
    process = subprocess.Popen(command, cwd=ROOT)
    wait_until(lambda: programs.weight() == 5, timeout_seconds=60, what="the first step")
    process.terminate()
    assert process.wait(60) == 1
    assert programs.changes()[-1] == BACK


@pytest.mark.parametrize("steps", ["50,25", "0", "10,110", "ten", ""])
def test_shares_rise(roll: Callable[..., int], steps: str) -> None:
    with pytest.raises(SystemExit):
        roll("--steps", steps)
