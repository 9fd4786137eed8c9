"""``python -m tests.compat [REVISION]``: release N-1 runs on schema N, and both work side by side.

The code of an earlier revision (by default the last release's tag; without one, the mainline before its newest
migration) is started on an empty Postgres that it has migrated itself, and given work: jobs that run, that wait for an
answer, for a child, for a time, with a webhook. While it works and answers, this checkout migrates the database, starts
its own processes beside, and takes over. A line for each step; exit code 1 when one failed.
"""

import signal
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import monotonic, sleep
from typing import Any

from rich.console import Console

from tests.compat.installation import Installation, Running, new_installation
from tests.compat.releases import NoEarlierRelease, Release, earlier_release, git, previous_revision, this_release
from tests.compat.traffic import Entrance, Follower, Load, kept
from tests.compat.verdict import jobs_ended_once, proofs_hold
from tests.factories.waiting import wait_until
from tests.factories.webhook_receiver import WebhookReceiver
from waybill.smoke.document import DOCUMENT, QUESTION

_ENDED_SECONDS = 120.0
_BESIDE_SECONDS = 5.0
_SCHEDULED_SECONDS = 60
_FINAL = frozenset(("job.succeeded", "job.failed", "job.cancelled", "job.expired", "job.rejected"))


class Upgrade:
    """The steps, in order; each returns what it found, or raises AssertionError."""

    def __init__(self, installation: Installation, old: Release, new: Release, receiver: WebhookReceiver) -> None:
        self._installation = installation
        self._old, self._new = old, new
        self._receiver = receiver
        self._marker = installation.folder / "starts"
        self._processes: dict[str, list[Running]] = {}
        self._urls: dict[str, str] = {}
        self._followers: list[Follower] = []
        self._entrance = Entrance()
        noops: dict[str, Any] = {"marker": str(self._marker)}
        waits = {**noops, "act": "sleep", "seconds": 0.3}
        self._load = Load(self._entrance, [noops, waits, {**noops, "act": "large"}, {**noops, "act": "spend"}])

    def old_starts(self) -> str:
        """The old release makes its schema, its first key, and runs."""
        self._installation.migrate(self._old)
        made = self._installation.run(self._old, "keys", "create", "--role", "owner", "--name", "compat")
        self._entrance.key = made.strip()
        self._start(self._old)
        return f"schema {self._old.schema}, {len(self._processes['old'])} processes"

    def old_works(self) -> str:
        """Work that ends before the upgrade, and work that will be under way in it."""
        base = self._ask("POST", "/v1/knowledge-bases", json={"name": "parcels"})["id"]
        documents = f"/v1/knowledge-bases/{base}/documents"
        self._ask("POST", documents, params={"name": "parcels.md"}, content=DOCUMENT.encode())
        self._search = {"knowledge_base": base, "query": QUESTION}
        events = ["job.succeeded"]
        self._ask("POST", "/v1/webhook-endpoints", json={"url": self._receiver.url, "events": events})
        self._ended = [self._submit("knowledge.ingest", {"knowledge_base": base})]
        self._wait(self._ended)
        self._ended += self._several()
        self._wait(self._ended)
        self._followers = [Follower(self._entrance, "/v1/events")]
        # On its first attempt it waits until its worker stops, so that another has to take it up.
        until_handed_back = {"act": "sleep", "seconds": 600, "until_attempt": 1, "marker": str(self._marker)}
        self._asked = self._submit("probe.ask", {"timeout_seconds": 3600})
        self._parent = self._submit("probe.fan", {"children": [until_handed_back], "capability": "probe.act"})
        run_at = datetime.now(UTC) + timedelta(seconds=_SCHEDULED_SECONDS)
        self._scheduled = self._submit("probe.act", {"marker": str(self._marker)}, run_at=run_at.isoformat())
        for job_id in (self._asked, self._parent):
            self._wait([job_id], state="waiting")
        wait_until(self._marker.exists, timeout_seconds=_ENDED_SECONDS, what="the child to run")
        for job_id in (self._asked, self._parent):
            self._followers.append(Follower(self._entrance, f"/v1/jobs/{job_id}/events", _FINAL))
        return f"{len(self._ended)} jobs ended; one waits for an answer, one for its child, one for its time"

    def migration_under_load(self) -> str:
        """The new release's migrations, while the old release answers and works."""
        self._load.start()
        wait_until(lambda: len(self._load.submitted) > 10, timeout_seconds=_ENDED_SECONDS, what="the load to begin")
        began = monotonic()
        self._installation.migrate(self._new)
        took = monotonic() - began
        requests, slowest = self._load.slowest_since(began)
        self._none_failed()
        return f"schema {self._new.schema} in {took:.1f} s; {requests} requests meanwhile, the slowest {slowest:.2f} s"

    def old_on_new_schema(self) -> str:
        """The old release by itself on the new schema: every kind of job, from submission to end."""
        before = len(self._load.submitted)
        self._wait(self._several())
        wait_until(lambda: len(self._load.submitted) > before + 20, timeout_seconds=_ENDED_SECONDS, what="load")
        ended = self._load.submitted[before : before + 20]
        self._wait(ended)
        self._none_failed()
        return f"{len(ended)} jobs of the load and one of each kind ended"

    def both_side_by_side(self) -> str:
        """Processes of both releases on one queue, one database and one Redis."""
        self._start(self._new)
        began = monotonic()
        sleep(_BESIDE_SECONDS)
        self._wait(self._several())
        self._none_failed()
        requests, slowest = self._load.slowest_since(began)
        return f"{len(self._installation.running)} processes; {requests} requests, the slowest {slowest:.2f} s"

    def old_stops(self) -> str:
        """SIGTERM to every process of the old release, its API taken from the entrance first."""
        self._entrance.remove(self._urls["old"])
        for process in self._processes["old"]:
            process.process.terminate()
        for process in self._processes["old"]:
            process.wait_for_end()
        self._none_failed()
        return "each ended with code 0"

    def everything_ends(self) -> str:
        """The answer is given, the load ends, and all that was accepted ends well."""
        self._wait(self._several())
        self._load.stop()
        self._ask("POST", f"/v1/jobs/{self._asked}/input", json={"value": {"approved": True}})
        self._wait([*self._load.submitted, self._asked, self._parent, self._scheduled])
        self._none_failed()
        return f"{len(self._load.requests)} requests, none failed"

    def each_once(self) -> str:
        """No job lost, none ended twice, none started again without a reason, each told about once."""
        return jobs_ended_once(self._installation.owner_url, self._marker, self._receiver, len(self._load.submitted))

    def streams_resumed(self) -> str:
        """What followers saw across the upgrade is what was kept: nothing missed, nothing twice, in order."""
        paths = ["/v1/events?starting_after=0&follow=false"]
        paths += [f"/v1/jobs/{job_id}/events" for job_id in (self._asked, self._parent)]
        for follower, path in zip(self._followers, paths, strict=True):
            expected = kept(self._entrance, path)
            wait_until(
                lambda seen=follower.events, kept=expected: len(seen) >= len(kept),  # type: ignore[misc]
                timeout_seconds=_ENDED_SECONDS,
                what=f"{len(expected)} events of {path}, got {len(follower.events)}",
            )
            follower.stop()
            assert follower.events == expected, f"{path}: {Counter(follower.events) - Counter(expected)} too many"
            assert not follower.failures, follower.failures[0]
            assert follower.connections > 1, f"{path} was not broken off"
        connections = sum(follower.connections for follower in self._followers)
        return f"{len(self._followers)} streams over {connections} connections, {len(self._followers[0].events)} events"

    def proofs(self) -> str:
        """Ledger, audit trail and the receipts of jobs of both releases hold, by the new release's own commands."""
        jobs = (self._ended[-1], self._asked, self._parent, self._load.submitted[-1])
        receipts = [self._ask("GET", f"/v1/jobs/{job_id}/waybill") for job_id in jobs]
        return proofs_hold(self._installation, self._new, receipts)

    def end(self) -> None:
        """Send nothing further, whatever step it came to."""
        self._load.stop()
        for follower in self._followers:
            follower.stop()

    def complaints(self) -> str:
        """What the processes logged as a warning or an error, the last of each."""
        logged = ((process.name, process.output().splitlines()) for process in self._installation.running)
        levels = ('"level":"warning"', '"level":"error"', "Traceback")
        found = [(name, [line for line in lines if any(level in line for level in levels)]) for name, lines in logged]
        return "\n".join(f"{name}: {line[:600]}" for name, lines in found for line in lines[-3:])

    def _start(self, release: Release) -> None:
        url, self._processes[release.name] = self._installation.start(release)
        self._urls[release.name] = url
        self._entrance.add(url)

    def _several(self) -> list[str]:
        kinds = {"knowledge.search": self._search, "probe.act": {"act": "spend"}, "probe.fan": {"children": []}}
        return [self._submit(capability, payload) for capability, payload in kinds.items()]

    def _ask(self, method: str, path: str, **given: Any) -> Any:
        return self._entrance.ask(method, path, **given)

    def _submit(self, capability: str, payload: dict[str, Any], **more: Any) -> str:
        job = self._ask("POST", "/v1/jobs", json={"capability": capability, "input": payload, **more})
        return str(job["id"])

    def _wait(self, job_ids: Sequence[str], state: str = "succeeded") -> None:
        for job_id in job_ids:
            began = monotonic()
            while (job := self._ask("GET", f"/v1/jobs/{job_id}"))["state"] != state:
                assert monotonic() - began < _ENDED_SECONDS, f"not {state} after {_ENDED_SECONDS:.0f} s: {job}"
                sleep(0.1)

    def _none_failed(self) -> None:
        assert not self._load.failures, f"{len(self._load.failures)} requests failed: {self._load.failures[0]}"


def main(arguments: Sequence[str]) -> int:
    """Run every step until one fails; returns the exit code."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    console = Console(width=150 if not sys.stdout.isatty() else None, highlight=False)
    began = monotonic()
    with tempfile.TemporaryDirectory(prefix="waybill-compat-old-") as folder:
        try:
            revision = arguments[0] if arguments else previous_revision()
            old, new = earlier_release(revision, Path(folder)), this_release()
            console.print(f"old: {git('log', '-1', '--format=%h %cs %s', revision)}", markup=False)
        except NoEarlierRelease as error:
            console.print(str(error), markup=False)
            return 2
        with WebhookReceiver() as receiver, new_installation() as installation:
            upgrade = Upgrade(installation, old, new, receiver)
            passed = _carry_out(upgrade, console)
    console.print(f"[dim]{monotonic() - began:.0f} s[/]")
    return 0 if passed else 1


def _carry_out(upgrade: Upgrade, console: Console) -> bool:
    steps: list[Callable[[], str]] = [
        upgrade.old_starts,
        upgrade.old_works,
        upgrade.migration_under_load,
        upgrade.old_on_new_schema,
        upgrade.both_side_by_side,
        upgrade.old_stops,
        upgrade.everything_ends,
        upgrade.each_once,
        upgrade.streams_resumed,
        upgrade.proofs,
    ]
    try:
        for step in steps:
            began = monotonic()
            name = step.__name__.replace("_", " ")
            try:
                found, mark = step(), "[green]✓[/]"
            except AssertionError as error:
                found, mark = str(error), "[red]✗[/]"
            console.print(f"{mark} [bold]{name}[/]  [dim]{monotonic() - began:.1f} s[/]  ", end="")
            console.print(found, markup=False)
            if "✗" in mark:
                console.print(upgrade.complaints(), markup=False, style="dim")
                return False
        return True
    finally:
        upgrade.end()


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit("interrupted; everything was taken down")
