"""Generates infra/helm/waybill/files/rules.yaml: recordings, and the alerts of the objectives."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

from infra.prometheus.objectives import BAD_EVENTS_MIN, FAST, OBJECTIVES, PERIOD_DAYS, SLOW, Objective, Window
from infra.prometheus.recordings import RECORDINGS

FOLDER = Path(__file__).resolve().parents[1] / "helm" / "waybill" / "files"
RULES = FOLDER / "rules.yaml"
ALERTS = FOLDER / "alerts.yaml"
_WINDOWS = ("5m", "30m", "1h", "6h")
_LINE_MAX = 100
# Reads so many samples that once every two minutes is often enough.
_LONG_WINDOWS = ("3d", f"{PERIOD_DAYS}d")
_COUNTED_SECONDS = 300
_HEAD = """\
# What Prometheus records, and the alerts of the objectives (docs/reference/slos.md). `python -m infra.prometheus` makes
# this file of infra/prometheus/objectives.py and recordings.py: change those. The other alerts are in alerts.yaml.
#
# An alert on a burn rate: bad over a long window and over a short one, and at least three events. They are counted as
# the sum of the rates times the seconds between two of them (300 s, divided by how many there are in 5m).
"""


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule as Prometheus reads it: a recording has labels only, an alert annotations as well."""

    kind: str
    name: str
    expr: str
    labels: dict[str, str] = field(default_factory=dict)
    annotations: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Group:
    """Rules evaluated one after the other, every `interval` or as often as Prometheus evaluates by default."""

    name: str
    rules: Sequence[Rule]
    interval: str | None = None


def groups() -> list[Group]:
    """Every group, in the order of the file: a rule comes after the ones it reads."""
    return [
        Group("waybill-recordings", [Rule("record", each.name, each.expr) for each in RECORDINGS]),
        Group("waybill-objectives", [*_events(), *map(_ratio, _WINDOWS)]),
        Group("waybill-objectives-long", [*map(_ratio, _LONG_WINDOWS)], "2m"),
        Group("waybill-burn-rates", [rule for each in OBJECTIVES for rule in _burns(each)]),
    ]


def render(made: Sequence[Group]) -> str:
    """The YAML of `made`, as a person would write it."""
    lines = [_HEAD + "groups:"]
    for group in made:
        lines.append(f"  - name: {group.name}")
        if group.interval:
            lines.append(f"    interval: {group.interval}")
        lines.append("    rules:")
        for rule in group.rules:
            lines.append(f"      - {rule.kind}: {rule.name}")
            lines += [f"        expr: {line}" if not place else line for place, line in enumerate(_folded(rule.expr))]
            if rule.labels:
                pairs = ", ".join(f"{name}: {value}" for name, value in rule.labels.items())
                lines.append(f"        labels: {{{pairs}}}")
            if rule.annotations:
                lines.append("        annotations:")
                lines += [f"          {name}: {value}" for name, value in rule.annotations.items()]
    return "\n".join(lines) + "\n"


def _folded(expr: str) -> list[str]:
    """The value of a key, broken before operators where it is too long for a line."""
    if "\n" not in expr and len(expr) <= _LINE_MAX:
        return [f"{expr}" if '"' not in expr and not expr.startswith(("{", "(")) else f"'{expr}'"]
    return [">-", *(f"          {line.strip()}" for line in expr.splitlines())]


def _events() -> Iterator[Rule]:
    for each in OBJECTIVES:
        labels = {"slo": each.name}
        if each.kind == "time":
            yield Rule("record", "waybill_slo:bad:rate5m", each.bad, labels)
            yield Rule("record", "waybill_slo:all:rate5m", each.all, labels)
        else:
            yield Rule("record", "waybill_slo:bad:rate5m", f"({each.bad})\nor vector(0)", labels)
            yield Rule("record", "waybill_slo:all:rate5m", f"({each.all})\nor vector(0)", labels)
        yield Rule("record", "waybill_slo:target:ratio", f"vector({_plain(each.target)})", labels)


def _ratio(window: str) -> Rule:
    if window == "5m":
        return Rule("record", "waybill_slo:bad:ratio_5m", "waybill_slo:bad:rate5m / (waybill_slo:all:rate5m > 0)")
    bad, everything = (f"avg_over_time(waybill_slo:{which}:rate5m[{window}])" for which in ("bad", "all"))
    return Rule("record", f"waybill_slo:bad:ratio_{window}", f"{bad}\n/ ({everything} > 0)")


def _burns(objective: Objective) -> Iterator[Rule]:
    for speed, windows, severity in (("Fast", FAST, objective.fast), ("Slowly", SLOW, "ticket")):
        yield Rule(
            "alert",
            f"{objective.alert}Burns{speed}",
            "\nor\n".join(_burn(objective, window) for window in windows),
            {"severity": severity, "slo": objective.name},
            {
                "summary": f'"{objective.title}: {{{{ $value | humanizePercentage }}}} missed this,'
                f' {_plain(objective.budget * 100)}% may"',
                "runbook_url": f"docs/runbooks/{objective.runbook}",
            },
        )


def _burn(objective: Objective, window: Window) -> str:
    bound = f"{window.burn_rate:f} * {_plain(objective.budget)}"
    one = f'{{slo="{objective.name}"}}'
    parts = [f"waybill_slo:bad:ratio_{each}{one} > {bound}" for each in (window.long, window.short)]
    if objective.kind == "events":
        # An average over the window would count too many while the series is younger than the window.
        rates = f"waybill_slo:bad:rate5m{one}"
        events = f"sum_over_time({rates}[{window.long}]) * {_COUNTED_SECONDS} / count_over_time({rates}[5m])"
        parts.append(f"{events} >= {BAD_EVENTS_MIN}")
    return "\nand ".join(parts)


def as_percent(share: Decimal) -> str:
    """A share as documents show it, such as 99.9 %."""
    return f"{_plain(share * 100)} %"


def _plain(number: Decimal) -> str:
    return f"{number.normalize():f}"
