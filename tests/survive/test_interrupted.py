"""``make survive`` takes minutes: whoever presses Ctrl-C gets the table so far, and a machine as it was."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tests.factories.processes import ROOT
from tests.factories.waiting import wait_until

pytestmark = pytest.mark.heavy


def running_in(folder: Path) -> set[psutil.Process]:
    """Processes whose command line names the folder: the servers; and those that hold a file in it: all others."""
    found = set()
    for process in psutil.process_iter():
        try:
            files = [process.cwd(), *process.cmdline(), *(each.path for each in process.open_files())]
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
        if any(str(folder) in name for name in files):
            found.add(process)
    return found


def test_an_interrupted_run_leaves_no_process_behind(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.survive", "-k", "sigterm_at_many", "--basetemp", str(tmp_path / "run")]
    with (tmp_path / "shown").open("wb") as shown:
        run = subprocess.Popen(command, cwd=ROOT, stdout=shown, stderr=shown, start_new_session=True)
    reported = (tmp_path / "shown").read_text
    wait_until(lambda: "takes about 2 minutes" in reported(), timeout_seconds=120, what="a long form to be announced")
    # The test, Postgres, Valkey, a dispatcher and a worker.
    wait_until(lambda: len(running_in(tmp_path)) >= 5, timeout_seconds=120, what="everything to run")
    os.killpg(run.pid, signal.SIGINT)
    assert run.wait(60) == pytest.ExitCode.INTERRUPTED
    wait_until(lambda: not running_in(tmp_path), timeout_seconds=30, what=f"an end of {running_in(tmp_path)}")
    assert "not run" in reported() or "FAILED" in reported()
