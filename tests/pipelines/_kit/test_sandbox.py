"""What a hostile file may make a child do, and what becomes of it: the limits are the kernel's, and they hold."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from core.capability import JobCancelled
from core.kit.errors import CapabilityFailure
from pipelines._kit import sandbox
from pipelines._kit.sandbox import Bounds
from tests.factories.processes import ROOT
from tests.factories.waiting import wait_until

MODULE = "tests.factories.sandboxed"
MEGABYTE = 1024 * 1024


def run(folder: Path, act: str, bounds: Bounds | None = None, **task: Any) -> dict[str, Any]:
    return sandbox.run(MODULE, {"act": act, **task}, folder, bounds=bounds or Bounds(), check=lambda: None)


def is_alive(folder: Path) -> bool:
    """Whether the child of the last run is still there; a zombie is not."""
    pid = (folder / "pid").read_text()
    status = Path(f"/proc/{pid}/status")
    return status.exists() and "State:\tZ" not in status.read_text()


def test_it_answers_and_knows_nothing_of_the_parents_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WAYBILL_MODEL_API_KEY", "hunter2")
    answer = run(tmp_path, "read", read="what was asked")
    assert answer["read"] == "what was asked"
    assert {"WAYBILL_MODEL_API_KEY", "HOME", "DATABASE_URL"}.isdisjoint(answer["environment"])


@pytest.mark.parametrize(
    ("act", "bounds", "reason"),
    [
        # It uses no processor time at all: only the parent's clock can end it.
        ("sleep", Bounds(clock_seconds=1.0), sandbox.TOO_SLOW),
        # The clock would wait for a minute and a half: the kernel counts processor time.
        ("burn", Bounds(cpu_seconds=1), sandbox.TOO_SLOW),
        ("allocate", Bounds(memory_bytes=300 * MEGABYTE), sandbox.TOO_MUCH_MEMORY),
        ("write", Bounds(file_bytes=MEGABYTE), sandbox.CRASHED),
        ("segfault", Bounds(), sandbox.CRASHED),
        ("leave", Bounds(), sandbox.CRASHED),
        ("break", Bounds(), sandbox.CRASHED),
    ],
    ids=["clock", "processor", "memory", "file", "segfault", "no-answer", "exception"],
)
def test_what_breaks_a_limit_ends_the_child_and_says_which(
    tmp_path: Path, act: str, bounds: Bounds, reason: str
) -> None:
    with pytest.raises(sandbox.SandboxFailure) as failed:
        run(tmp_path, act, bounds, bytes=400 * MEGABYTE)
    assert failed.value.reason == reason
    assert "secret" not in str(failed.value)
    assert not is_alive(tmp_path)


def test_a_refusal_of_the_child_is_the_callers(tmp_path: Path) -> None:
    with pytest.raises(CapabilityFailure, match="encrypted") as refused:
        run(tmp_path, "refuse")
    assert refused.value.code == "file_encrypted"


def test_a_cancelled_job_does_not_wait_for_its_child(tmp_path: Path) -> None:
    def check() -> None:
        if (tmp_path / "pid").exists():
            raise JobCancelled

    with pytest.raises(JobCancelled):
        sandbox.run(MODULE, {"act": "sleep"}, tmp_path, bounds=Bounds(), check=check)
    assert not is_alive(tmp_path)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child that its parent has died")
def test_the_child_of_a_killed_worker_dies_with_it(tmp_path: Path) -> None:
    code = (
        "from pathlib import Path; from pipelines._kit import sandbox;"
        f" sandbox.run({MODULE!r}, {{'act': 'sleep'}}, Path({str(tmp_path)!r}), bounds=sandbox.Bounds(),"
        " check=lambda: None)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}
    ) as worker:
        wait_until((tmp_path / "pid").exists, timeout_seconds=30, what="the child to begin")
        worker.kill()
    wait_until(lambda: not is_alive(tmp_path), timeout_seconds=10, what="the child to die")
