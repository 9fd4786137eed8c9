"""``waybill demo`` as a stranger runs it: in a terminal, in an empty folder, with nothing in the environment."""

import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from prometheus_client.parser import text_string_to_metric_families

from core.kit.metrics import FAMILIES
from tests.e2e.quickstart import follow
from tests.factories.processes import ROOT
from tests.factories.waiting import wait_until

pytestmark = [pytest.mark.heavy, pytest.mark.xdist_group("demo"), pytest.mark.timeout(900)]

INTERRUPTED = 130
OURS = ("DATABASE_URL", "REDIS_URL")


def environment(home: Path) -> dict[str, str]:
    plain = {name: value for name, value in os.environ.items() if not name.startswith("WAYBILL_") and name not in OURS}
    return {**plain, "WAYBILL_HOME": str(home), "TERM": "xterm-256color", "COLUMNS": "100", "LINES": "30"}


def processes_of(home: Path) -> list[str]:
    """Every process that works in `home`, by its environment or its command line."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.pid == os.getpid() or process.status() == psutil.STATUS_ZOMBIE:
                continue
            words = process.cmdline()
            named = any(str(home) in word for word in words)
            if named or process.environ().get("WAYBILL_HOME") == str(home):
                found.append(f"{process.pid} {' '.join(words)}")
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return found


def shown_secrets(home: Path) -> list[str]:
    """The parts of the stack that have a secret of it in their environment, where others may see it."""
    reported = json.loads((home / "stack.json").read_text(encoding="utf-8"))["settings"]
    hidden = [
        reported[name]
        for name in ("database_url", "redis_url", "secret_key", "pseudonym_key", "signing_key", "flower_password")
    ]
    hidden += [path.read_text(encoding="utf-8").strip() for path in home.glob("*.password")]
    found = []
    for line in processes_of(home):
        with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            values = " ".join(psutil.Process(int(line.split()[0])).environ().values())
            found += [line for secret in hidden if secret in values]
    return found


def nothing_left(home: Path) -> None:
    wait_until(lambda: not processes_of(home), timeout_seconds=15, what=f"an end of {processes_of(home)}")


def demo(home: Path, *arguments: str, cwd: Path = ROOT) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "waybill", "demo", *arguments],
        env={**environment(home), "PYTHONPATH": str(ROOT)},
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )


def scrape(targets: list[dict[str, Any]]) -> dict[str, dict[str, float]]:
    """By process, the sum of each series that has counted anything."""
    found: dict[str, dict[str, float]] = {}
    for target in targets:
        [address] = target["targets"]
        text = httpx.get(f"http://{address}/metrics", trust_env=False).text
        sums: defaultdict[str, float] = defaultdict(float)
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                sums[sample.name] += sample.value
        found[target["labels"]["instance"]] = {name: value for name, value in sums.items() if value}
    return found


def assert_counted_where_it_is_said(metrics: Mapping[str, Mapping[str, float]]) -> None:
    """What the reference says of who counts what."""
    said = {f"{family.name}{end}": family for family in FAMILIES for end in ("", "_count", "_sum", "_bucket")}
    for instance, sums in metrics.items():
        process = "worker" if instance.startswith("worker-") else instance
        strange = {name for name in sums if name in said and process not in said[name].processes}
        assert strange == set(), f"{instance} counts what it should not"


class Terminal:
    """A command in a terminal of its own, in which Ctrl-C can be pressed."""

    def __init__(self, command: list[str], variables: Mapping[str, str]) -> None:
        self._master, slave = pty.openpty()
        self.shown = b""
        self.process = subprocess.Popen(
            command,
            env=dict(variables),
            cwd=ROOT,
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
        )
        os.close(slave)

    def read(self, seconds: float) -> None:
        ready, _, _ = select.select([self._master], [], [], seconds)
        if ready:
            try:
                self.shown += os.read(self._master, 65536)
            except OSError:  # Linux reports EIO once the last writer has closed its end
                time.sleep(seconds)

    def read_until(self, pattern: bytes, timeout_seconds: float) -> None:
        until = time.monotonic() + timeout_seconds
        while re.search(pattern, self.shown) is None:
            assert self.process.poll() is None, self.shown.decode(errors="replace")
            assert time.monotonic() < until, self.shown.decode(errors="replace")
            self.read(0.1)

    def press_control_c(self) -> None:
        # What a terminal does: the signal goes to the whole foreground process group.
        os.killpg(self.process.pid, signal.SIGINT)

    def wait(self, timeout_seconds: float) -> int:
        until = time.monotonic() + timeout_seconds
        while self.process.poll() is None:
            assert time.monotonic() < until, self.shown.decode(errors="replace")
            self.read(0.1)
        os.close(self._master)
        return self.process.returncode


# One story: each run takes a minute, and the next one needs it.
def test_interrupted_then_whole_then_again_beside_a_running_stack(tmp_path: Path) -> None:  # noqa: PLR0915
    home = tmp_path / "home"

    # Ctrl-C in the middle of an ingest.
    terminal = Terminal([sys.executable, "-m", "waybill", "demo"], environment(home))
    terminal.read_until(rb"\b2/24\b", 240)
    assert processes_of(home)
    terminal.press_control_c()
    assert terminal.wait(60) == INTERRUPTED
    nothing_left(home)
    assert b"Traceback" not in terminal.shown

    # From another folder, to the end.
    whole = demo(home, cwd=tmp_path)
    assert whole.returncode == 0, whole.stdout + whole.stderr
    assert "compensation is halved" in whole.stdout
    assert re.search(r"\[\d\] claims-and-liability-policy\.pdf, page \d", whole.stdout)
    assert re.search(r"^running \(attempt 1\) +█", whole.stdout, flags=re.MULTILINE)
    assert "No sentence in these documents clearly answers this question." in whole.stdout
    # Every model has a price here, so no cost is nothing.
    assert re.search(r"cost: \$0\.0000\d+ +[\d,]+ tokens in", whole.stdout)
    assert "killed the worker that runs it" in whole.stdout
    assert "it asks a person: May 84.20 EUR be moved" in whole.stdout
    assert "We have refunded 84.20 EUR" in whole.stdout
    assert re.search(r"Docs +http://127\.0\.0\.1:\d+/docs", whole.stdout)
    assert "\x1b" not in whole.stdout
    nothing_left(home)

    # Again, beside a stack that runs, which it uses and leaves running: nothing is read twice, and programs get one
    # document.
    up = Terminal([sys.executable, "-m", "waybill", "up", "--port", "0", "--no-flower"], environment(home))
    try:
        up.read_until(rb"Docs +http://127", 240)
        second = subprocess.run(
            [sys.executable, "-m", "waybill", "up"],
            env=environment(home),
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        assert second.returncode == 6
        assert "already running" in second.stderr
        assert shown_secrets(home) == []
        held = sorted(path.name for path in (home / "secrets" / "worker-knowledge").iterdir())
        assert held == ["DATABASE_URL", "REDIS_URL", "WAYBILL_PSEUDONYM_KEY", "WAYBILL_SAMPLE_SYSTEM_TOKEN"]
        again = demo(home, "--json")
        assert again.returncode == 0, again.stderr
        report = json.loads(again.stdout)
        metrics = scrape(json.loads((home / "prometheus-targets.json").read_text(encoding="utf-8")))
        story = subprocess.run(
            [sys.executable, "-m", "waybill", "logs", "--job", report["live"]["id"], "--json"],
            env={**environment(home), "PYTHONPATH": str(ROOT)},
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        )
        (tmp_path / "reader").mkdir()
        follow(tmp_path / "reader", environment(home))
        assert f"{report['docs_url']}\r\n".encode() in up.shown
        assert up.process.poll() is None
    finally:
        up.press_control_c()
        assert up.wait(60) == 0
    nothing_left(home)
    assert (len(report["ingest"]["unchanged"]), report["ingest"]["uploaded"]) == (24, [])
    assert not (home / "prometheus-targets.json").exists()
    assert_counted_where_it_is_said(metrics)
    assert metrics["worker-knowledge"]["waybill_spend_usd_total"] > 0
    assert metrics["worker-customer_operations"]["waybill_tool_calls_total"] > 0
    assert metrics["worker-research"]["waybill_job_step_duration_seconds_count"] > 0
    assert metrics["api"]["waybill_stream_lag_seconds_count"] > 0
    assert metrics["dispatcher"]["waybill_pool_slots"] == sum(
        count for each in metrics.values() for name, count in each.items() if name == "waybill_worker_slots"
    )
    lines = [json.loads(line) for line in story.stdout.splitlines()]
    assert [line["timestamp"] for line in lines] == sorted(line["timestamp"] for line in lines)
    assert {"http_request", "job_started", "job_attempt_ended"} <= {line["event"] for line in lines}
    assert {"api", "worker-knowledge"} <= {line["service"] for line in lines}
    citation = report["live"]["result"]["citations"][0]
    assert citation["quote"] in next(
        passage["text"] for passage in report["live"]["result"]["passages"] if passage["id"] == citation["passage"]
    )
    assert [job["result"]["answered"] for job in report["others"]] == [True, True, True, False]
    services = report["services"]
    assert {name: job["state"] for name, job in services.items()} == dict.fromkeys(services, "succeeded")
    # The first run moved the money; the company's system does not move it twice.
    assert services["customer_operations.resolve"]["result"]["decision"] == "refund_made_before"
    attempts = re.findall(r"^attempt (\d+): (.+)$", whole.stdout, flags=re.MULTILINE)
    assert len(attempts) > 1
    assert "crewai:" in attempts[-1][1]
    assert set(services) == {"customer_operations.resolve", "multimodal.understand", "research.report"}
    assert "19.90" in services["multimodal.understand"]["result"]["answer"]
