"""The fork server: its forks are what ``python -m`` would have been, and end as processes of their own do."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.factories.processes import ROOT
from tests.factories.waiting import wait_until
from waybill.stack.fork_server import IS_AVAILABLE, Forked, ForkServer
from waybill.stack.plan import SHARED_MODULES

pytestmark = pytest.mark.skipif(not IS_AVAILABLE, reason="forks of a process with many modules are for Linux")

_PROGRAMS = {
    "telling": """
import json, os, sys
print(json.dumps([__name__, sys.argv, os.getcwd(), dict(os.environ), os.getpgid(0), "fractions" in sys.modules]))
""",
    "refusing": "import sys; print('no'); sys.exit(7)",
    "failing": "raise ValueError('broken')",
    "waiting": "import time; print('waits', flush=True); time.sleep(600)",
}


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    folder = tmp_path / "programs"
    folder.mkdir()
    for name, source in _PROGRAMS.items():
        (folder / f"{name}.py").write_text(source)
    return folder


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ForkServer]:
    server = ForkServer(
        ["fractions", "no_such_module"], {"PYTHONPATH": str(ROOT), "OWN": "of the server"}, tmp_path / "server.log"
    )
    yield server
    server.stop()


def _fork(server: ForkServer, programs: Path, *arguments: str, **variables: str) -> tuple[Forked, Path]:
    log = programs / f"{arguments[0]}.log"
    log.unlink(missing_ok=True)
    return server.fork(arguments, {"PYTHONPATH": str(programs), **variables}, log, programs), log


def test_a_fork_is_the_module_with_its_arguments_folder_and_environment(server: ForkServer, programs: Path) -> None:
    forked, log = _fork(server, programs, "telling", "--loud", "1", KEY="secret of the fork")
    assert forked.wait(20) == 0
    name, argv, folder, environment, group, has_modules = json.loads(log.read_text())
    assert name == "__main__"
    assert argv[1:] == ["--loud", "1"]
    assert folder == str(programs)
    assert environment == {"PYTHONPATH": str(programs), "KEY": "secret of the fork"}
    assert group == forked.pid
    assert has_modules


def test_what_others_may_read_of_a_fork_names_it_and_holds_no_secret(server: ForkServer, programs: Path) -> None:
    forked, log = _fork(server, programs, "waiting", KEY="secret-of-the-fork")
    wait_until(lambda: log.exists() and "waits" in log.read_text(), timeout_seconds=20, what="the fork")
    place = Path(f"/proc/{forked.pid}")
    assert place.joinpath("cmdline").read_bytes().rstrip(b"\0") == b"waiting"
    assert b"secret-of-the-fork" not in place.joinpath("environ").read_bytes()


def test_each_end_is_reported_as_the_exit_code_of_a_process(server: ForkServer, programs: Path, tmp_path: Path) -> None:
    refusing, log = _fork(server, programs, "refusing")
    failing, trace = _fork(server, programs, "failing")
    waiting, _ = _fork(server, programs, "waiting")
    assert refusing.wait(20) == 7
    assert log.read_text() == "no\n"
    assert failing.wait(20) == 1
    assert "ValueError: broken" in trace.read_text()
    assert waiting.poll() is None
    with pytest.raises(TimeoutError):
        waiting.wait(0.2)
    waiting.terminate()
    assert waiting.wait(20) == -signal.SIGTERM
    assert f"refusing ({refusing.pid}) ended with 7 after 0." in (tmp_path / "server.log").read_text()


def test_a_killed_server_takes_its_forks_with_it_and_the_next_fork_starts_another(
    server: ForkServer, programs: Path
) -> None:
    first, log = _fork(server, programs, "waiting")
    wait_until(lambda: log.exists() and "waits" in log.read_text(), timeout_seconds=20, what="the fork")
    assert server.pid is not None
    os.kill(server.pid, signal.SIGKILL)
    assert first.wait(20) == -signal.SIGTERM
    wait_until(lambda: not psutil.pid_exists(first.pid), timeout_seconds=20, what="the fork's end")
    again, _ = _fork(server, programs, "refusing")
    assert again.wait(20) == 7


def test_a_server_whose_end_nothing_has_noticed_is_started_again_by_a_fork(server: ForkServer, programs: Path) -> None:
    assert _fork(server, programs, "refusing")[0].wait(20) == 7
    assert server.pid is not None
    lost = psutil.Process(server.pid)
    lost.kill()
    wait_until(lambda: lost.status() == psutil.STATUS_ZOMBIE, timeout_seconds=20, what="the server's end")
    assert _fork(server, programs, "refusing")[0].wait(20) == 7


def test_nothing_outlives_a_killed_client(programs: Path, tmp_path: Path) -> None:
    client = subprocess.Popen(
        [
            sys.executable,
            "-c",
            (
                "import sys, time, pathlib\n"
                "from waybill.stack.fork_server import ForkServer\n"
                "folder = pathlib.Path(sys.argv[1])\n"
                "server = ForkServer([], {'PYTHONPATH': sys.argv[2]}, folder / 'server.log')\n"
                "forked = server.fork(['waiting'], {'PYTHONPATH': str(folder)}, folder / 'waiting.log', folder)\n"
                "print(server.pid, forked.pid, flush=True)\n"
                "time.sleep(600)"
            ),
            str(programs),
            str(ROOT),
        ],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert client.stdout is not None
    pids = [int(word) for word in client.stdout.readline().split()]
    assert len(pids) == 2
    client.kill()
    client.wait(10)
    client.stdout.close()
    wait_until(lambda: not any(map(psutil.pid_exists, pids)), timeout_seconds=20, what="the end of server and fork")


def test_what_the_children_share_starts_no_thread_and_reads_no_setting() -> None:
    source = (
        "import os, sys\n"
        "from importlib import import_module\n"
        "from core.kit.settings import get_settings\n"
        "for name in sys.argv[1:]:\n"
        "    import_module(name)\n"
        "    assert get_settings.cache_info().currsize == 0, f'{name} reads settings'\n"
        "    assert len(os.listdir('/proc/self/task')) == 1, f'{name} starts a thread'\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", source, *SHARED_MODULES], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
