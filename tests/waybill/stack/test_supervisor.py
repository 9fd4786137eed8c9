"""The supervisor over real servers and small children: order, crashes, signals, and that nothing is left behind."""

import contextlib
import json
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest
from sqlalchemy import text

from core.keys.authentication import Authenticator
from core.kit.db import Database
from core.kit.ids import ORGANIZATION, encode
from core.kit.settings import Settings
from tests.factories.cluster import valkey_cluster
from tests.factories.processes import ROOT
from tests.factories.waiting import wait_until
from waybill.stack.home import running_stack
from waybill.stack.reaper import GRACE_SECONDS

pytestmark = pytest.mark.heavy

STALE = {"database_url": "postgresql://x:y@127.0.0.1:9/gone", "redis_url": "redis://127.0.0.1:9/0", "api_port": 9}


@dataclass
class Supervisor:
    popen: subprocess.Popen[bytes]
    home: Path
    output: Path

    def notices(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.output.read_text().splitlines() if line.startswith("{")]

    def heard(self, kind: str, name: str | None = None) -> bool:
        return any(notice["kind"] == kind and name in {None, notice.get("name")} for notice in self.notices())

    def wait_for(self, kind: str, name: str | None = None) -> None:
        def heard() -> bool:
            ended = self.popen.poll() is not None
            if self.heard(kind, name):
                return True
            assert not ended, f"ended with {self.popen.returncode}: {self.output.read_text()[-3000:]}"
            return False

        wait_until(heard, timeout_seconds=60, what=f"{kind} {name or ''}")

    def descendants(self) -> list[psutil.Process]:
        return psutil.Process(self.popen.pid).children(recursive=True)

    def ends_with(self, code: int, within_seconds: float = 30) -> None:
        assert self.popen.wait(within_seconds) == code, self.output.read_text()[-3000:]


def alive(processes: list[psutil.Process]) -> list[str]:
    found = []
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            if process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
                found.append(f"{process.pid}: {' '.join(process.cmdline())}")
    return found


@contextlib.contextmanager
def supervising(home: Path, *roles: str, **environment: str) -> Iterator[Supervisor]:
    home.mkdir(exist_ok=True)
    output = home.parent / f"{home.name}-{len(list(home.parent.iterdir()))}.out"
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("WAYBILL_") and name not in {"DATABASE_URL", "REDIS_URL"}
    }
    with output.open("wb") as file:
        popen = subprocess.Popen(
            [sys.executable, "-m", "tests.waybill.stack.stand_in", *roles],
            env={**inherited, "WAYBILL_HOME": str(home), **environment},
            cwd=ROOT,
            stdout=file,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
    try:
        yield Supervisor(popen, home, output)
    finally:
        if popen.poll() is None:
            popen.kill()
        popen.wait(10)


@pytest.fixture
def servers(database_url: str, redis_url: str) -> dict[str, str]:
    """Servers of the test run, for tests that are not about the embedded ones."""
    return {"DATABASE_URL": database_url, "REDIS_URL": redis_url}


def test_starts_reports_where_it_is_refuses_a_second_and_stops_at_ctrl_c(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    # What a stack that crashed here left must not pass for an address.
    (home / "stack.json").write_text(json.dumps({"pid": 1, "settings": STALE}))
    assert running_stack(home) is None
    with supervising(home, "sleeper", "parent") as first:
        first.wait_for("running")

        run_file = home / "stack.json"
        assert stat.S_IMODE(run_file.stat().st_mode) == 0o600
        found = running_stack(home)
        assert found is not None
        assert found["pid"] == first.popen.pid
        assert found["settings"]["database_url"] != STALE["database_url"]
        assert found["settings"]["redis_url"] != STALE["redis_url"]
        settings = Settings(home=home, **found["settings"])
        assert settings.api_key is not None
        with contextlib.closing(Database(settings, application_name="test")) as database:
            principal = Authenticator(settings, database).authenticate(settings.api_key.get_secret_value())
            assert principal.scopes
        # A key that is made here works with what the command line here has made.
        made = subprocess.run(
            [sys.executable, "-m", "waybill", "keys", "create", "--json"],
            env={"PATH": os.environ["PATH"], "WAYBILL_HOME": str(home)},
            cwd=ROOT,
            capture_output=True,
            check=True,
            timeout=60,
        )
        assert json.loads(made.stdout)["organization_id"] == encode(ORGANIZATION, principal.organization_id)
        assert all(
            stat.S_IMODE((home / name).stat().st_mode) == 0o600
            for name in ("secret.key", "pseudonym.key", "local-cli.key")
        )

        with supervising(home, "sleeper") as second:
            second.ends_with(3)
        [refusal] = [notice["text"] for notice in second.notices() if notice["kind"] == "error"]
        assert f"as process {first.popen.pid}" in refusal
        assert running_stack(home) == found

        started = first.descendants()
        assert len(started) >= 6
        first.popen.send_signal(signal.SIGINT)
        first.ends_with(0)
        assert alive(started) == []
        assert running_stack(home) is None
        assert not run_file.exists()
        stopped = [notice["name"] for notice in first.notices() if notice["kind"] == "stopped"]
        assert stopped == ["parent", "sleeper", "valkey", "postgres"]


def test_sigkill_of_the_supervisor_leaves_nothing_and_the_next_start_goes_on(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with supervising(home, "sleeper", "parent", "stubborn") as first:
        first.wait_for("running")
        kept = json.loads((home / "stack.json").read_text())["settings"]
        started = first.descendants()
        first.popen.send_signal(signal.SIGKILL)
        first.popen.wait(10)
        assert running_stack(home) is None
        assert (home / "stack.json").exists(), "a crash removes nothing; that is why running_stack looks closer"

        with supervising(home, "sleeper") as second:
            # It waits until the reaper has let go of the folder.
            second.wait_for("running")
            assert alive(started) == []
            reported = json.loads((home / "stack.json").read_text())["settings"]
            assert reported["api_key"] == kept["api_key"]
            assert reported["secret_key"] == kept["secret_key"]
            again = second.descendants()
            second.popen.send_signal(signal.SIGTERM)
            second.ends_with(0)
        assert alive(again) == []


def test_sigkill_while_starting_leaves_nothing(tmp_path: Path) -> None:
    with supervising(tmp_path / "home", "silent") as supervisor:
        supervisor.wait_for("ready", "postgres")
        started = supervisor.descendants()
        supervisor.popen.send_signal(signal.SIGKILL)
        wait_until(lambda: not alive(started), timeout_seconds=GRACE_SECONDS + 10, what="everything to end")


def test_a_server_that_dies_is_started_again_on_its_address(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with supervising(home, "sleeper") as supervisor:
        supervisor.wait_for("running")
        servers = [process for process in supervisor.descendants() if "valkey" in process.name()]
        assert len(servers) == 1
        servers[0].kill()
        supervisor.wait_for("crashed", "valkey")
        wait_until(
            lambda: [n["name"] for n in supervisor.notices() if n["kind"] == "ready"].count("valkey") == 2,
            timeout_seconds=20,
            what="Valkey to be back",
        )
        postgres = [process for process in supervisor.descendants() if process.name() == "postgres"]
        oldest = min(postgres, key=lambda process: process.create_time())
        oldest.kill()
        supervisor.wait_for("crashed", "postgres")
        wait_until(
            lambda: [n["name"] for n in supervisor.notices() if n["kind"] == "ready"].count("postgres") == 2,
            timeout_seconds=30,
            what="Postgres to be back",
        )
        settings = Settings(home=home, **json.loads((home / "stack.json").read_text())["settings"])
        with contextlib.closing(Database(settings, application_name="test")) as database, database.system() as session:
            assert session.execute(text("SELECT count(*) FROM api_keys")).scalar_one() == 1
        started = supervisor.descendants()
        supervisor.popen.send_signal(signal.SIGINT)
        supervisor.ends_with(0)
        assert alive(started) == []


def test_a_crashed_child_is_started_again(tmp_path: Path, servers: dict[str, str]) -> None:
    with supervising(tmp_path / "home", "stumbler", **servers) as supervisor:
        supervisor.wait_for("running")
        [crash] = [notice for notice in supervisor.notices() if notice["kind"] == "crashed"]
        assert crash["name"] == "stumbler"
        assert "exit code 9" in crash["text"]
        supervisor.popen.send_signal(signal.SIGINT)
        supervisor.ends_with(0)


def test_a_child_that_never_stays_up_ends_everything_and_its_last_words_are_shown(
    tmp_path: Path, servers: dict[str, str]
) -> None:
    with supervising(tmp_path / "home", "sleeper", "crasher", **servers) as supervisor:
        supervisor.wait_for("starting", "crasher")
        started = supervisor.descendants()
        supervisor.ends_with(3)
        [error] = [notice["text"] for notice in supervisor.notices() if notice["kind"] == "error"]
        assert "crasher keeps crashing: 3 times" in error
        assert "exit code 7" in error
        assert "cannot go on: no flour" in error
        assert alive(started) == []


def test_what_is_not_essential_may_fail(tmp_path: Path, servers: dict[str, str]) -> None:
    with supervising(tmp_path / "home", "sleeper", "optional-crasher", **servers) as supervisor:
        supervisor.wait_for("running")
        supervisor.wait_for("abandoned", "optional-crasher")
        assert supervisor.popen.poll() is None
        supervisor.popen.send_signal(signal.SIGINT)
        supervisor.ends_with(0)


def test_a_second_ctrl_c_kills_what_takes_its_time(tmp_path: Path, servers: dict[str, str]) -> None:
    with supervising(tmp_path / "home", "sleeper", "stubborn", **servers) as supervisor:
        supervisor.wait_for("running")
        started = supervisor.descendants()
        supervisor.popen.send_signal(signal.SIGINT)
        supervisor.wait_for("stopping", "stubborn")
        assert supervisor.popen.poll() is None, "its grace is a minute"
        supervisor.popen.send_signal(signal.SIGINT)
        supervisor.ends_with(0, within_seconds=10)
        assert alive(started) == []
        assert "Traceback" not in supervisor.output.read_text()


@pytest.mark.survive("C7")
def test_an_unusable_redis_is_refused_at_the_start(tmp_path: Path, database_url: str) -> None:
    with valkey_cluster(tmp_path / "cluster", nodes=2) as [url, _]:
        environment = {"DATABASE_URL": database_url, "REDIS_URL": url}
        with supervising(tmp_path / "home", "sleeper", **environment) as supervisor:
            supervisor.ends_with(3)
            [error] = [notice["text"] for notice in supervisor.notices() if notice["kind"] == "error"]
            assert "cluster of 2 shards" in error
            assert not supervisor.heard("starting", "sleeper")


def test_a_signal_while_starting_stops_what_has_been_started(tmp_path: Path, servers: dict[str, str]) -> None:
    home = tmp_path / "home"
    with supervising(home, "sleeper", "silent", **servers) as supervisor:
        supervisor.wait_for("ready", "sleeper")
        started = supervisor.descendants()
        supervisor.popen.send_signal(signal.SIGTERM)
        supervisor.ends_with(130)
        assert alive(started) == []
        assert not (home / "stack.json").exists()
