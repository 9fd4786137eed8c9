"""``waybill up`` with a probe and a simulated provider beside the shipped capabilities, as a person would start it."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psutil
import psycopg

from tests.factories.capabilities import PROBE
from tests.factories.processes import ROOT
from tests.factories.provider_simulator import Answer, ProviderSimulator, Recorded, Script
from tests.factories.registered import write_deployments

CAPABILITIES = (PROBE,)
_WELL = Answer("All", " is", " well", ".", delta_seconds=0.05)
MODEL = "writer"
_STOP_SECONDS = 180.0
_CLEAR_SECONDS = 120.0
_OURS = ("DATABASE_URL", "REDIS_URL")


class Mood:
    """What the simulated provider answers: well, unless it was asked for something else."""

    def __init__(self) -> None:
        self.usual: Script = _WELL
        self._next: list[Script] = []

    def next(self, *scripts: Script) -> None:
        """Answer the next requests so."""
        self._next += scripts

    def answer(self, _: Recorded) -> Script:
        """The script for a request."""
        return self._next.pop(0) if self._next else self.usual


@dataclass
class Stack:
    """A running stack, and what a test of it needs."""

    home: Path
    url: str
    targets: Path
    metrics: dict[str, str]
    settings: dict[str, Any]
    process: "subprocess.Popen[str]"
    mood: Mood
    http: httpx.Client = field(init=False)

    def __post_init__(self) -> None:
        key = (self.home / "local-cli.key").read_text(encoding="utf-8").strip()
        self.key = key
        self.http = httpx.Client(
            base_url=self.url, headers={"Authorization": f"Bearer {key}"}, timeout=30, trust_env=False
        )

    def submit(self, capability: str, given: dict[str, Any], **options: Any) -> str:
        """The id of a new job. Raises `httpx.HTTPError`."""
        body = {"capability": capability, "input": given, **options}
        answer = self.http.post("/v1/jobs", json=body).raise_for_status()
        return str(answer.json()["id"])

    def probe(self, act: str = "noop", **given: Any) -> str:
        """A job of the probe."""
        options = {name: given.pop(name) for name in ("max_attempts",) if name in given}
        return self.submit("probe.act", {"act": act, **given}, **options)

    def embed(self) -> str:
        """A job of the pool `models` that costs little."""
        return self.submit("models.embed", {"model": "embedding", "texts": ["a parcel", "a van"]})

    def slots(self, pool: str) -> int:
        """How many jobs a pool runs at once."""
        shown = httpx.get(f"http://{self.metrics[f'worker-{pool}']}/metrics", timeout=30).text
        [slots] = re.findall(rf'^waybill_worker_slots{{pool="{pool}"}} ([\d.]+)$', shown, flags=re.MULTILINE)
        return int(float(slots))

    def clear(self) -> None:
        """Cancel what has not ended, wait until nothing is left, and take what quality was like as normal.

        To the watch over quality, faults are worse answers and other inputs, once so many jobs have run.
        """
        until = time.monotonic() + _CLEAR_SECONDS
        while time.monotonic() < until:
            found = self.http.get("/v1/jobs", params={"state": ["queued", "running", "waiting"], "limit": 200})
            jobs = found.raise_for_status().json()["data"]
            if not jobs:
                self._accept_quality()
                return
            for job in jobs:
                self.http.post(f"/v1/jobs/{job['id']}/cancel")
            time.sleep(1)
        raise AssertionError("jobs of the fault before do not end")

    def _accept_quality(self) -> None:
        found = self.http.get("/v1/quality/alerts", params={"state": "open"}).raise_for_status()
        for alert in found.json()["data"]:
            closed = {"reason": "a fault of this test", "is_new_normal": True}
            self.http.post(f"/v1/quality/alerts/{alert['id']}/close", json=closed).raise_for_status()

    def owner(self) -> "psycopg.Connection[Any]":
        """A connection of who owns the tables."""
        return psycopg.connect(self.settings["database_url"], autocommit=True)

    def processes(self, *words: str) -> list[psutil.Process]:
        """The processes whose command line holds all `words`, and their children."""
        found: dict[int, psutil.Process] = {}
        for process in psutil.Process(self.process.pid).children(recursive=True):
            with suppress(psutil.Error):
                line = " ".join(process.cmdline())
                if all(word in line for word in words):
                    found |= {each.pid: each for each in (process, *process.children(recursive=True))}
        return list(found.values())

    @contextmanager
    def frozen(self, *words: str) -> Iterator[None]:
        """Let those processes stand still, as a machine that hangs."""
        stopped = self.processes(*words)
        assert stopped, f"nothing runs with {words}"
        for process in stopped:
            process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            for process in stopped:
                with suppress(psutil.NoSuchProcess):
                    process.send_signal(signal.SIGCONT)


@contextmanager
def running_stack(home: Path) -> Iterator[Stack]:
    """A stack in `home`, ended with the block. Raises AssertionError with its log when it does not start."""
    mood = Mood()
    with ProviderSimulator(mood.answer) as provider:
        home.mkdir()
        write_deployments(home, max_attempts=2, simulated=provider)
        with _running(home, mood) as stack:
            yield stack


@contextmanager
def _running(home: Path, mood: Mood) -> Iterator[Stack]:
    plain = {name: value for name, value in os.environ.items() if not name.startswith("WAYBILL_") and name not in _OURS}
    variables = {
        **plain,
        "PYTHONPATH": str(ROOT),
        "WAYBILL_HOME": str(home),
        "WAYBILL_EXTRA_CAPABILITIES": '["tests.observe.stack:CAPABILITIES"]',
        "WAYBILL_DEPLOYMENTS_FILE": str(home / "deployments.toml"),
        "WAYBILL_INVARIANT_INTERVAL_SECONDS": "3",
        "WAYBILL_WEBHOOK_ALLOWED_NETWORKS": '["127.0.0.0/8"]',
    }
    log = home.parent / "up.log"
    command = [sys.executable, "-m", "waybill", "up", "--json", "--no-flower", "--port", "0"]
    with log.open("wb") as errors:
        process = subprocess.Popen(
            command, env=variables, cwd=ROOT, stdout=subprocess.PIPE, stderr=errors, text=True, start_new_session=True
        )
    try:
        ready = _ready(process, log)
        run_file = json.loads((home / "stack.json").read_text(encoding="utf-8"))
        stack = Stack(
            home,
            ready["url"],
            Path(ready["prometheus_targets"]),
            ready["metrics"],
            run_file["settings"],
            process,
            mood,
        )
        with stack.http:
            yield stack
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.communicate(timeout=_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()


def _ready(process: "subprocess.Popen[str]", log: Path) -> dict[str, Any]:
    assert process.stdout is not None
    seen: list[str] = []
    for line in process.stdout:
        seen.append(line)
        with suppress(ValueError):
            found: dict[str, Any] = json.loads(line)
            if found.get("event") == "ready":
                return found
    raise AssertionError(f"the stack did not start: {''.join(seen[-5:])}{log.read_text(encoding='utf-8')[-2000:]}")


def chosen(names: Sequence[str], wanted: Sequence[str]) -> list[str]:
    """Those of `names` that begin with one of `wanted`, or all."""
    return [name for name in names if not wanted or name.startswith(tuple(wanted))]
