"""Runs every test marked ``survive`` and prints one line for each: row, what was provoked, outcome, figures.

A test reports figures with ``record_property("figure", "…")``, and a long form says by ``slow(seconds)`` how long it
takes. One of more than a quarter of an hour runs only when it is named: ``make survive ARGS="-k hundred_thousand"``.
"""

import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from rich.console import Console
from rich.markup import escape
from rich.table import Table

_APART_SECONDS = 900
_OUTCOMES = {"passed": "[green]survived", "failed": "[red]FAILED", "skipped": "[yellow]not provoked"}


@dataclass
class Provoked:
    """One test of a row."""

    row: str
    name: str
    outcome: str = "not run"
    seconds: float = 0.0
    figures: list[str] = field(default_factory=list)


class Collector:
    """A pytest plugin that remembers what the marked tests did."""

    def __init__(self) -> None:
        self.provoked: dict[str, Provoked] = {}
        self.apart: list[str] = []
        self._long: dict[str, float] = {}
        self._say: Callable[[str], None] = print

    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        """Keep the marked tests only, in the order of their rows."""
        self._say = config.get_terminal_writer().line
        marked = [(mark.args, item) for item in items for mark in item.iter_markers("survive")]
        marked.sort(key=lambda pair: (pair[0][0][0], int(pair[0][0][1:])))
        kept: dict[str, pytest.Item] = {}
        for rows, item in marked:
            slow = item.get_closest_marker("slow")
            if slow is not None:
                self._long[item.nodeid] = slow.args[0]
                if slow.args[0] > _APART_SECONDS and not config.option.keyword:
                    self.apart.append(item.originalname if isinstance(item, pytest.Function) else item.name)
                    continue
            kept[item.nodeid] = item
            self.provoked[item.nodeid] = Provoked(", ".join(rows), item.name.removeprefix("test_").replace("_", " "))
        items[:] = kept.values()

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        """Say how long a long form takes before it begins."""
        if nodeid in self._long:
            entry = self.provoked[nodeid]
            self._say(f"\n{entry.row} {entry.name}: takes about {_spoken(self._long[nodeid])}")

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Remember the outcome: of the call, or of a set-up or tear-down that did not pass."""
        entry = self.provoked[report.nodeid]
        if report.when == "call" or report.outcome != "passed":
            entry.outcome = report.outcome if entry.outcome != "failed" else "failed"
        if report.when == "call":
            entry.seconds = report.duration
            entry.figures = [str(value) for name, value in report.user_properties if name == "figure"]


def _spoken(seconds: float) -> str:
    return f"{seconds:.0f} seconds" if seconds < 90 else f"{seconds / 60:.0f} minutes"


def main(arguments: list[str]) -> int:
    """Run, draw the table, and return pytest's exit code."""
    # Whoever started it in the background of a shell has its Ctrl-C ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    collector = Collector()
    code = pytest.main(["-q", "-p", "no:cacheprovider", "--timeout=3600", "tests", *arguments], plugins=[collector])
    table = Table(title="What was provoked, and what became of it", show_lines=False)
    for heading in ("row", "provoked", "outcome", "seconds", "figures"):
        table.add_column(heading, justify="right" if heading == "seconds" else "left")
    for entry in collector.provoked.values():
        outcome = _OUTCOMES.get(entry.outcome, entry.outcome)
        table.add_row(entry.row, escape(entry.name), outcome, f"{entry.seconds:.1f}", "; ".join(entry.figures))
    console = Console(width=180 if not sys.stdout.isatty() else None)
    console.print(table)
    for name in collector.apart:
        console.print(f'left out, because it takes long: make survive ARGS="-k {name}"', markup=False)
    return int(code)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
