"""``python -m tests.bench [NAME…]``: run the benchmarks, print a table, write ``build/bench.json``."""

import json
import os
import platform
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.bench import gateway, guarded, jobs, money, pools, traces
from tests.bench.rows import Row
from tests.bench.system import servers
from tests.factories.processes import ROOT

Benchmark = Callable[..., list[Row]]
_JOBS: dict[str, Benchmark] = {
    "submit": jobs.submit,
    "rate": jobs.submit_under_equal_rate,
    "end_to_end": jobs.end_to_end,
    "idle": jobs.idle_latency,
    "growth": jobs.growth,
    "gateway": lambda systems, _: gateway.run(systems.settings),
    "money": money.run,
    "guarded": guarded.run,
    "traces": traces.run,
    "pools": lambda systems, _: pools.run(systems),
}
# Benchmarks that start what they need, imported when asked for: what the heading says meanwhile, and where they are.
_APART = {
    "retrieval": ("search over 50,000 chunks", "tests.bench.retrieval:run"),
    "audit": ("100,000 audit records", "tests.bench.audit:run"),
    "entries": ("loading every pool", "tests.bench.entries:measure"),
    "guard": ("reading messages for kinds of findings", "tests.bench.guard:measure"),
    "backup": ("a backup and its restore", "tests.bench.backups:run"),
    "where": ("where the milliseconds of a job go", "tests.bench.where:run"),
    "profile": ("which libraries hold the interpreter", "tests.bench.profile:run"),
    "rollups": ("roll-ups of ten million jobs", "tests.bench.rollups:run"),
}

# Needs a program that is not among the dependencies.
_ON_REQUEST = {"profile"}


def main(names: list[str]) -> int:
    """Run the named benchmarks, or all; returns 0 also when a target is missed, which the table shows."""
    console = Console()
    wanted = names or [*_JOBS, *(name for name in _APART if name not in _ON_REQUEST)]
    rows: list[Row] = []
    if any(name in _JOBS for name in wanted):
        with servers() as systems, console.status("starting") as status:
            for name in wanted:
                if name in _JOBS:
                    rows += _JOBS[name](systems, status.update)
                    # A run takes many minutes: what is measured is kept, whatever becomes of the rest.
                    _write(ROOT / "build" / "bench.json", rows)
    for name in wanted:
        if name in _APART:
            title, place = _APART[name]
            with console.status(title):
                rows += _measure_apart(place)
    _draw(console, rows)
    _write(ROOT / "build" / "bench.json", rows)
    return 0


def _measure_apart(place: str) -> list[Row]:
    module, _, function = place.partition(":")
    found = getattr(import_module(module), function)()
    return [row if isinstance(row, Row) else Row(**row) for row in found]


def _draw(console: Console, rows: list[Row]) -> None:
    table = Table(title=f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    for heading in ("name", "value", "unit", "baseline", "ratio", "target", "holds"):
        table.add_column(heading, justify="left" if heading in {"name", "unit", "target"} else "right")
    for row in rows:
        cells = row.as_json()
        cells["holds"] = {True: "[green]yes", False: "[red]no", None: ""}[row.holds]
        table.add_row(*("" if value is None else str(value) for value in cells.values()))
    console.print(table)


def _write(path: Path, rows: list[Row]) -> None:
    """Replace the rows of these names, keep the others of earlier runs."""
    path.parent.mkdir(exist_ok=True)
    earlier = json.loads(path.read_text(encoding="utf-8")) if path.exists() else []
    fresh = {row.name for row in rows}
    kept = [row for row in earlier if row["name"] not in fresh]
    path.write_text(json.dumps([*kept, *(row.as_json() for row in rows)], indent=2) + "\n", encoding="utf-8")
    path.with_suffix(".when").write_text(datetime.now(UTC).isoformat(timespec="seconds"), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
