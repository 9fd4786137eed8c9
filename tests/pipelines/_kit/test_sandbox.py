"""What a hostile, leaking or endless task may make a child do, and what becomes of it: the limits are the kernel's."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from core.capability import JobCancelled
from core.kit.errors import CapabilityFailure
from pipelines._kit.sandbox import profile as reasons
from pipelines._kit.sandbox.pool import Pool
from pipelines._kit.sandbox.profile import Bounds, SandboxFailure, SandboxProfile
from tests.factories.processes import ROOT
from tests.factories.waiting import wait_until

MEGABYTE = 1024 * 1024
ACTS = SandboxProfile(name="acts", entry="tests.factories.sandboxed:open_acts")

pytestmark = [
    pytest.mark.heavy,
    pytest.mark.skipif(sys.platform != "linux", reason="children look at themselves through /proc"),
]


@pytest.fixture
def pool() -> Iterator[Pool]:
    with Pool(ACTS) as opened:
        yield opened


def run(pool: Pool, act: str = "answer", *, owner: str = "", payload: bytes = b"", **task: Any) -> dict[str, Any]:
    return pool.call({"act": act, **task}, payload, check=lambda: None, owner=owner)


def is_gone(pid: int) -> bool:
    """Whether nothing of the process is left, not even a zombie."""
    return not psutil.pid_exists(pid)


def cancelled_when(happened: Callable[[], bool]) -> Callable[[], None]:
    def check() -> None:
        if happened():
            raise JobCancelled

    return check


def test_it_knows_nothing_of_the_worker_but_its_pipes(
    pool: Pool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WAYBILL_MODEL_API_KEY", "hunter2")
    with (tmp_path / "open in the worker").open("w") as opened:
        os.set_inheritable(opened.fileno(), True)
        answer = run(pool, payload=b"bytes of a file")
    assert answer["payload"] == "bytes of a file"
    assert set(answer["environment"]) <= {
        "PATH",
        "LANG",
        "LC_CTYPE",
        "OMP_NUM_THREADS",
        "ORT_DISABLE_TELEMETRY",
        "PYTHONPATH",
    }
    assert "hunter2" not in Path(f"/proc/{answer['pid']}/environ").read_text()
    # The listing of the folder that tells is open meanwhile.
    seen = [target for target in answer["descriptors"] if not target.startswith("/proc")]
    assert seen == ["/dev/null", "/dev/null", "/dev/null", "pipe", "pipe"]
    assert answer["core"] == [0, 0]


def test_a_child_loads_once_and_works_for_many_calls_and_threads() -> None:
    with Pool(replace(ACTS, options={"word": "loaded with it"})) as pool:
        first = run(pool)
        answers: list[dict[str, Any]] = []
        # A thread that ends takes the children with it that it started itself.
        for _ in range(2):
            thread = threading.Thread(target=lambda: answers.append(run(pool)))
            thread.start()
            thread.join()
        again = run(pool)
    assert {answer["pid"] for answer in (*answers, again)} == {first["pid"]}
    assert {answer["loaded"] for answer in (*answers, again)} == {first["loaded"]}
    assert again["word"] == "loaded with it"
    assert is_gone(first["pid"])


@pytest.mark.parametrize(
    ("act", "bounds", "reason"),
    [
        # It uses no processor time at all: only the parent's clock can end it.
        ("sleep", Bounds(clock_seconds=1.0), reasons.TOO_SLOW),
        ("stand still", Bounds(clock_seconds=1.0), reasons.TOO_SLOW),
        # The clock would wait for a minute and a half: the kernel counts processor time.
        ("burn", Bounds(cpu_seconds=0), reasons.TOO_SLOW),
        ("allocate", Bounds(memory_bytes=300 * MEGABYTE), reasons.TOO_MUCH_MEMORY),
        ("write", Bounds(file_bytes=MEGABYTE), reasons.CRASHED),
        ("open", Bounds(descriptors=40), reasons.CRASHED),
        ("answer", Bounds(answer_bytes=100), reasons.CRASHED),
        ("segfault", Bounds(), reasons.CRASHED),
        ("leave", Bounds(), reasons.CRASHED),
        ("hang up", Bounds(), reasons.CRASHED),
        ("break", Bounds(), reasons.CRASHED),
    ],
    ids=[
        "clock", "stopped", "processor", "memory", "file", "descriptors", "long-answer", "segfault", "no-answer",
        "closed-pipes", "exception",
    ],
)  # fmt: skip
def test_what_breaks_a_limit_ends_the_child_and_says_which(
    tmp_path: Path, act: str, bounds: Bounds, reason: str
) -> None:
    with Pool(replace(ACTS, bounds=bounds)) as pool:
        with pytest.raises(SandboxFailure) as failed:
            run(pool, act, bytes=400 * MEGABYTE, path=str(tmp_path / "large"), pid=str(tmp_path / "pid"))
        assert failed.value.reason == reason
        assert "secret" not in str(failed.value)
        assert is_gone(int((tmp_path / "pid").read_text()))
        assert pool.pids == []


def test_the_next_call_after_a_crash_gets_another_child(pool: Pool) -> None:
    first = run(pool)
    with pytest.raises(SandboxFailure):
        run(pool, "segfault")
    assert run(pool)["pid"] != first["pid"]


def test_a_refusal_is_the_callers_and_the_child_goes_on(pool: Pool) -> None:
    first = run(pool)
    with pytest.raises(CapabilityFailure, match="encrypted") as refused:
        run(pool, "refuse")
    assert refused.value.code == "file_encrypted"
    assert run(pool)["pid"] == first["pid"]


def test_what_a_library_prints_is_no_part_of_an_answer(pool: Pool) -> None:
    assert run(pool, "print")["pid"] == run(pool)["pid"]


def test_a_child_that_does_not_load_is_no_fault_of_the_task() -> None:
    with Pool(replace(ACTS, entry="tests.factories.sandboxed:open_nothing")) as pool:
        for _ in range(2):
            with pytest.raises(SandboxFailure) as failed:
                run(pool)
            assert failed.value.reason == reasons.NOT_STARTED
        assert pool.pids == []


def test_a_child_that_stands_still_cannot_hold_back_the_writer() -> None:
    with Pool(replace(ACTS, bounds=Bounds(clock_seconds=1.0))) as pool:
        pid = run(pool)["pid"]
        os.kill(pid, signal.SIGSTOP)
        with pytest.raises(SandboxFailure) as failed:
            # More than the pipe holds.
            run(pool, payload=bytes(4 * MEGABYTE))
        assert failed.value.reason == reasons.TOO_SLOW
        assert is_gone(pid)


def test_memory_that_grows_retires_the_child() -> None:
    with Pool(replace(ACTS, resident_max_bytes=200 * MEGABYTE)) as pool:
        small = run(pool, "leak", bytes=MEGABYTE)
        grown = run(pool, "leak", bytes=250 * MEGABYTE)
        assert grown["pid"] == small["pid"]
        assert is_gone(grown["pid"])
        assert run(pool)["pid"] != grown["pid"]


def test_a_child_is_replaced_after_so_many_calls() -> None:
    with Pool(replace(ACTS, calls=2)) as pool:
        pids = [run(pool)["pid"] for _ in range(4)]
    assert pids[0] == pids[1] != pids[2] == pids[3]


def test_an_idle_child_ends_after_a_while() -> None:
    with Pool(replace(ACTS, idle_seconds=0.0)) as pool:
        pid = run(pool)["pid"]
        wait_until(lambda: is_gone(pid), timeout_seconds=10, what="the idle child to end")
        assert run(pool)["pid"] != pid


def test_a_child_never_works_for_two_owners(pool: Pool) -> None:
    first = run(pool, owner="a")
    other = run(pool, owner="b")
    assert other["pid"] != first["pid"]
    assert is_gone(first["pid"])
    with Pool(replace(ACTS, size=2)) as wide:
        pids = [run(wide, owner=owner)["pid"] for owner in "abab"]
    assert pids[:2] == pids[2:]
    assert len(set(pids)) == 2


def test_cancelling_ends_the_child_and_the_next_call_works(pool: Pool, tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    with pytest.raises(JobCancelled):
        pool.call({"act": "sleep", "pid": str(pid_file)}, check=cancelled_when(pid_file.exists))
    assert is_gone(int(pid_file.read_text()))
    assert run(pool)["pid"] != int(pid_file.read_text())


def test_a_job_that_waits_for_a_child_can_be_cancelled_too(pool: Pool, tmp_path: Path) -> None:
    pid_file, is_done = tmp_path / "pid", threading.Event()

    def work() -> None:
        with pytest.raises(JobCancelled):
            pool.call({"act": "sleep", "pid": str(pid_file)}, check=cancelled_when(is_done.is_set))

    working = threading.Thread(target=work)
    working.start()
    wait_until(pid_file.exists, timeout_seconds=30, what="the only child to be at work")
    with pytest.raises(JobCancelled):
        pool.call({"act": "answer"}, check=cancelled_when(lambda: True))
    assert pool.pids == [int(pid_file.read_text())]
    is_done.set()
    working.join()


def test_threads_share_no_more_children_than_there_may_be() -> None:
    with Pool(replace(ACTS, size=2)) as pool:
        pids: list[int] = []
        threads = [threading.Thread(target=lambda: pids.append(run(pool)["pid"])) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(pids) == 8
    assert len(set(pids)) <= 2


def test_the_child_of_a_killed_worker_dies_with_it(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    code = (
        "from pipelines._kit.sandbox.pool import Pool; from tests.pipelines._kit.test_sandbox import ACTS;"
        f" Pool(ACTS).call({{'act': 'burn', 'pid': {str(pid_file)!r}}}, check=lambda: None)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}
    ) as worker:
        wait_until(
            lambda: pid_file.exists() and pid_file.read_text() != "", timeout_seconds=30, what="the child to begin"
        )
        worker.kill()
    pid = int(pid_file.read_text())
    wait_until(
        lambda: is_gone(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE,
        timeout_seconds=10,
        what="the child to die",
    )
