"""``python -m tests.bench.capacity_page``: write the figures of docs/reference/capacity.md anew, from the data files.

What stands between ``<!-- NAME -->`` and ``<!-- end -->`` is this module's; the words around it are not.
"""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from waybill.capacity import view
from waybill.capacity.load import Limits, Load
from waybill.capacity.model import REMEDIES, plan
from waybill.capacity.units import Units, measured_units

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "reference" / "capacity.md"
VALIDATION = Path(__file__).with_name("validation.json")
_BLOCK = re.compile(r"(<!-- (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)
_LOADS = (10, 1_000, 100_000)
# Longer than any figure: words, which begin at the left.
_WORDS = 40
_MILLI, _KILO = 1000.0, 0.001
_COSTS: tuple[tuple[str, str, float], ...] = (
    ("API processor, ms", "cpu_api", _MILLI),
    ("worker processor, ms", "cpu_worker", _MILLI),
    ("dispatcher processor, ms", "cpu_dispatcher", _MILLI),
    ("deliverer processor, ms", "cpu_deliverer", _MILLI),
    ("Postgres processor, ms", "cpu_postgres", _MILLI),
    ("Redis processor, ms", "cpu_redis", _MILLI),
    ("statements", "statements", 1.0),
    ("time in statements, ms", "statement_seconds", _MILLI),
    ("transactions", "transactions", 1.0),
    ("WAL, kB", "wal_bytes", _KILO),
    ("flushes of the log", "wal_fsyncs", 1.0),
    ("pages written", "page_writes", 1.0),
    ("Redis commands", "redis_commands", 1.0),
    ("held in Redis, kB", "redis_bytes_held", _KILO),
)
_DRIVERS = {
    "a job": "job",
    "a kB of payload": "payload_kb",
    "a model call": "model_call",
    "a delta": "delta",
    "a webhook": "webhook",
    "a second of a running job": "running_second",
    "a look at a pool": "look",
}
_PHASES: tuple[tuple[str, str], ...] = (
    ("statements", "statements"),
    ("in them, ms", "statement_ms"),
    ("transactions", "transactions"),
    ("Postgres CPU, ms", "cpu_postgres_ms"),
    ("API CPU, ms", "cpu_api_ms"),
    ("worker CPU, ms", "cpu_worker_ms"),
    ("dispatcher CPU, ms", "cpu_dispatcher_ms"),
    ("flushes", "wal_fsyncs"),
    ("Redis commands", "redis_commands"),
)


def write() -> str:
    """The page as it should be."""
    blocks = _blocks(measured_units())
    return _BLOCK.sub(lambda found: found[1] + blocks[found[2]] + "\n" + found[3], PAGE.read_text(encoding="utf-8"))


def _blocks(units: Units) -> dict[str, str]:
    return {
        "measured": _measured(units),
        "phases": _table(
            ("phase", *(title for title, _ in _PHASES)),
            [(name, *(_figure(phase[key]) for _, key in _PHASES)) for name, phase in units.phases.items()],
        ),
        "costs": _table(
            ("", *_DRIVERS),
            [
                (title, *(_figure(units.costs[driver][resource] * factor) for driver in _DRIVERS.values()))
                for title, resource, factor in _COSTS
            ],
        ),
        "others": _others(units),
        "rows": _table(
            (
                "bytes, with indexes",
                "kept, days",
                *(title for title, name in _DRIVERS.items() if name in units.row_bytes),
            ),
            [
                (
                    clock.replace("_", " "),
                    f"{days:,.0f}",
                    *(_figure(units.row_bytes[name][clock]) for name in _DRIVERS.values() if name in units.row_bytes),
                )
                for clock, days in units.row_bytes["kept_days"].items()
            ],
        ),
        "loads": _loads(units),
        "example": _example(units),
        "bottlenecks": _bottlenecks(units),
        "validation": _validation(),
    }


def _measured(units: Units) -> str:
    about = units.measured
    averages = ", ".join(map(str, about["load_average_at_the_end_of_each"]))
    return (
        f"`{about['command']}` measured all of it on {about['on']}, on one machine ({about['machine']}); medians of"
        f" {about['rounds']} rounds. Others used the machine too (load average at the end of each round: {averages})."
    )


def _others(units: Units) -> str:
    stream, dispatcher, idle = units.stream, units.dispatcher, units.idle
    held = units.connections
    connections = f"{held['api']}, slots + {held['worker_beside_slots']}, {held['dispatcher']}, {held['deliverer']}"
    rows = [
        ("memory of an API, dispatcher, deliverer, worker of no framework, MB", _memory(units)),
        ("an open stream: memory, kB", _figure(stream["kb_per_stream"])),
        ("an open stream: API processor, ms a second", _figure(stream["idle_api_cpu_per_second"] * 1000)),
        (
            "opening a stream: API processor, ms; statements",
            f"{_pair(stream['opening_api_cpu'] * 1000, stream['opening_statements'])}",
        ),
        (
            "an event to one stream: API, Redis processor, ms",
            _pair(stream["event_api_cpu"] * 1000, stream["event_redis_cpu"] * 1000),
        ),
        ("looks at a pool that one job causes, of seven pools together", _figure(dispatcher["looks_per_job"])),
        ("a job in flight, at each look: Postgres, µs", _figure(dispatcher["in_flight_row_seconds"] * 1e6)),
        (
            "idle, without workers: statements, Redis commands a second",
            _pair(idle["statements"], idle["redis_commands"]),
        ),
        ("an idle worker: Redis commands a second", _figure(units.idle_worker["redis_commands"])),
        ("connections of an API, worker, dispatcher, deliverer", connections),
    ]
    return _table(("what", "measured"), rows)


def _memory(units: Units) -> str:
    return ", ".join(f"{units.memory_mb[kind]:,.0f}" for kind in ("api", "dispatcher", "deliverer", "worker"))


def _loads(units: Units) -> str:
    plans = [plan(Load(load), Limits(), units) for load in _LOADS]
    rows: list[Sequence[str]] = [
        ("jobs that run, streams open", *(f"{each.load.running_jobs:,.0f}" for each in plans)),
    ]
    for index, pods in enumerate(plans[0].pods):
        name = f"`{pods.kind}`" if pods.pool is None else f"`worker`, `{pods.pool}`"
        rows.append((f"pods of {name}", *(f"{each.pods[index].count:,}" for each in plans)))
    needs = [view.needs(each) for each in plans]
    rows += [(row[0], *(each[number][1].partition(" (")[0] for each in needs)) for number, row in enumerate(needs[0])]
    too_small = [", ".join(use.resource for use in each.uses if use.share > 1) or "nothing" for each in plans]
    rows.append(("**too small for it**", *too_small))
    return _table(("jobs a minute", *(f"{load:,}" for load in _LOADS)), rows)


def _bottlenecks(units: Units) -> str:
    found = plan(Load(1_000), Limits(), units)
    return _table(
        ("resource", "full at jobs a minute", "what moves it"),
        [(row[0], row[4], REMEDIES[row[0]]) for row in view.uses(found)],
    )


def _example(units: Units) -> str:
    shown = "\n".join(view.lines(plan(Load(1_000), Limits(), units), units))
    return f"```console\n$ waybill capacity --jobs-per-minute 1000\n{shown}\n```"


def _validation() -> str:
    found: list[dict[str, Any]] = json.loads(VALIDATION.read_text(encoding="utf-8"))
    titles = {resource: (title, factor) for title, resource, factor in _COSTS if resource != "redis_bytes_held"}
    rows = [
        (
            f"{title} a second",
            *(
                f"{_figure(each['resources'][resource]['predicted'] * factor)} /"
                f" {_figure(each['resources'][resource]['measured'] * factor)}"
                + ("" if (error := each["resources"][resource]["error_percent"]) is None else f" ({error:+d} %)")
                for each in found
            ),
        )
        for resource, (title, factor) in titles.items()
    ]
    return _table(("predicted / measured (error)", *(each["load"] for each in found)), rows)


def _pair(one: float, other: float) -> str:
    return f"{_figure(one)}, {_figure(other)}"


def _figure(value: float) -> str:
    if value == 0:
        return "0"
    shown = f"{value:,.0f}" if value >= 99.5 else f"{value:.2g}"
    return "0" if value < 0.0005 else shown


def _table(heading: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    is_text = [max(len(row[column]) for row in rows) > _WORDS for column in range(1, len(heading))]
    line = ["---", *("---" if words else "---:" for words in is_text)]
    return "\n".join(f"| {' | '.join(row)} |" for row in (heading, line, *rows))


if __name__ == "__main__":
    PAGE.write_text(write(), encoding="utf-8")
