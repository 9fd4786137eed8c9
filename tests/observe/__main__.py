"""``make observe-test``: Prometheus and Alertmanager over a running stack.

Every query of every dashboard and rule has to return data, and each fault has to lead to its alert and to no other,
with every duration of the rules a twentieth of what it is. Needs Debian's prometheus and prometheus-alertmanager. Words
select faults by the beginnings of their alerts' names; ``--no-queries`` leaves the first part out, ``--keep`` keeps the
folder with its logs.
"""

import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import httpx
from rich.console import Console

from tests.factories.processes import ROOT
from tests.observe import expressions, load, runbooks
from tests.observe.faults import FAULTS, NOT_INJECTED, Fault
from tests.observe.monitoring import FACTOR, Monitoring, missing_programs, running_monitoring
from tests.observe.stack import Stack, running_stack

# Longer than the dispatcher takes to see what the fault before has left.
_SETTLES_SECONDS = 20.0
_QUIET_SECONDS = 20.0
_FIRES_SECONDS = 240.0
_STAYS = 5
_TRIES = 3


class Run:
    """Steps, each with a line that says what came of it."""

    def __init__(self) -> None:
        self.console = Console(width=160 if not sys.stdout.isatty() else None, highlight=False)
        self.failed: list[str] = []

    def step(self, name: str, act: Callable[[], str]) -> None:
        """Do it, and say so."""
        began = time.monotonic()
        try:
            said, mark = act(), "✓"
        except (AssertionError, OSError, httpx.HTTPError, subprocess.TimeoutExpired) as error:
            said, mark = str(error), "✗"
            self.failed.append(name)
        self.console.print(f"{mark} {name} ({time.monotonic() - began:.0f} s): {said}", markup=False)


def main(arguments: Sequence[str]) -> int:
    """Run everything, or the faults that `arguments` name; returns the exit code."""
    run = Run()
    if missing := missing_programs():
        run.console.print(f"missing: {', '.join(missing)} (Debian: apt install prometheus prometheus-alertmanager)")
        return 2
    words = tuple(word for word in arguments if not word.startswith("--"))
    faults = [fault for fault in FAULTS if not words or fault.alert.startswith(words)]
    folder = Path(tempfile.mkdtemp(prefix="waybill-observe-"))
    try:
        run.step("promtool's tests of the rules", _promtool)
        with running_stack(folder / "home") as stack:
            load.prepare(stack)
            if "--no-queries" not in arguments:
                with running_monitoring(folder / "queries", stack.targets) as monitoring:
                    run.step("load", lambda: f"{load.run_demo(stack)}; {load.run_rounds(stack)}")
                    run.step("queries", lambda: _queries(monitoring))
                    run.step("exemplars", lambda: _exemplars(monitoring))
            for place, fault in enumerate(faults):
                inject = partial(_inject, stack, fault, folder / f"fault-{place}")
                run.step(f"{fault.name}: {fault.alert}", inject)
        for alert, reason in NOT_INJECTED.items():
            run.console.print(f"- {alert}: not injected: {reason}", markup=False)
    finally:
        if "--keep" not in arguments:
            shutil.rmtree(folder, ignore_errors=True)
        else:
            run.console.print(f"kept: {folder}")
    run.console.print(f"failed: {', '.join(run.failed)}" if run.failed else "everything passed", markup=False)
    return 1 if run.failed else 0


def _promtool() -> str:
    files = ("rules_test.yml", "slos_test.yml")
    for file in files:
        done = subprocess.run(
            ["promtool", "test", "rules", file],
            cwd=ROOT / "infra" / "prometheus",
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
    return ", ".join(files)


def _queries(monitoring: Monitoring) -> str:
    full, quiet, wrong = expressions.check(monitoring)
    assert not wrong, "\n  ".join(["", *wrong])
    reasons = "; ".join(f"{name}: {expressions.QUIET.get(name, name)}" for name in sorted(set(quiet.values())))
    return f"{full} return data; {len(quiet)} do not ({reasons})"


def _exemplars(monitoring: Monitoring) -> str:
    found = monitoring.exemplars("waybill_http_request_duration_seconds_bucket")
    traces = {each["labels"]["trace_id"] for series in found for each in series["exemplars"]}
    assert traces, "no latency leads to a trace"
    return f"{len(traces)} requests lead to their traces"


class NotCalm(AssertionError):
    """An alert before anything was broken: of the fault before, or of a machine that is too busy."""


def _inject(stack: Stack, fault: Fault, folder: Path) -> str:
    """Break it, once a while has been calm; a Prometheus that has seen something else begins again."""
    for attempt in range(1, _TRIES):
        try:
            return _inject_once(stack, fault, folder.with_name(f"{folder.name}-{attempt}"))
        except NotCalm:
            continue
    return _inject_once(stack, fault, folder)


def _inject_once(stack: Stack, fault: Fault, folder: Path) -> str:
    """Look at a healthy stack for a while, break it, and see who is notified of what."""
    stack.clear()
    time.sleep(_SETTLES_SECONDS)
    with load.hum(stack), running_monitoring(folder, stack.targets) as monitoring:
        _stays(monitoring, set(), _QUIET_SECONDS, "before the fault")
        began = time.monotonic()
        with fault.break_it(stack):
            _stays(monitoring, {fault.alert}, _FIRES_SECONDS, "with the fault", patient=True)
            seconds = time.monotonic() - began
            done, left_out, failed = runbooks.run(stack, fault.page)
        silenced = len(monitoring.firing()) - 1
    assert not failed, f"fired, but the runbook's commands fail: {failed}"
    return (
        f"alone after {seconds:.0f} s (of {FACTOR} times as many), {max(0, silenced)} consequences silenced;"
        f" {fault.page}: {done} commands ran, {len(left_out)} name things of elsewhere"
    )


def _stays(monitoring: Monitoring, wanted: set[str], seconds: float, when: str, *, patient: bool = False) -> None:
    """See exactly `wanted` in a row of looks. Not `patient`, any other look fails; patient, the bound of time does."""
    until, in_a_row, seen = time.monotonic() + seconds, 0, set[str]()
    while time.monotonic() < until:
        found = monitoring.notified()
        seen |= found
        in_a_row = in_a_row + 1 if found == wanted else 0
        if patient and in_a_row >= _STAYS:
            return
        if not patient and not found <= wanted:
            raise NotCalm(f"{when}: {sorted(found)} instead of {sorted(wanted)}")
        time.sleep(1)
    firing = "; ".join(sorted(monitoring.firing()))
    assert not patient, f"{when}: {sorted(wanted)} was not alone; seen: {sorted(seen)}; firing: {firing}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
