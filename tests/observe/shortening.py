"""The rules as they are, with all their durations divided: what takes an hour in earnest takes minutes in a test."""

import re
from pathlib import Path
from typing import Any

import yaml

from infra.prometheus.rules import ALERTS, RULES

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
# Seconds that stand in an expression as numbers: of these, what they are compared with.
_BOUNDS = re.compile(
    r"(?P<before>waybill_queue_oldest_wait_seconds\{[^}]*\}\) > |waybill_audit_oldest_unsealed_seconds\) > bool )"
    r"(?P<seconds>\d+)"
)
# The dispatcher reads these ages every fifteen seconds, and a busy machine delays what they are of.
_BOUND_MIN = 15
_COUNTED = re.compile(r"\* (?P<seconds>\d+) / count_over_time")


def shorten(factor: int) -> dict[str, Any]:
    """Both files of rules as one, each duration of theirs a `factor`-th of what it is, and at least a second."""
    groups = [group for file in (ALERTS, RULES) for group in yaml.safe_load(file.read_text(encoding="utf-8"))["groups"]]
    for group in groups:
        if "interval" in group:
            group["interval"] = divide(group["interval"], factor)
        for rule in group["rules"]:
            rule["expr"] = shorten_query(rule["expr"], factor)
            if "for" in rule:
                rule["for"] = divide(rule["for"], factor)
    return {"groups": groups}


def shorten_query(query: str, factor: int) -> str:
    """A query with its windows, and the seconds that it counts in numbers, divided."""
    query = re.sub(r"\[(\d+[smhd])\]", lambda found: f"[{divide(found[1], factor)}]", query)
    query = _BOUNDS.sub(lambda found: f"{found['before']}{max(_BOUND_MIN, int(found['seconds']) // factor)}", query)
    return _COUNTED.sub(lambda found: f"* {int(found['seconds']) // factor} / count_over_time", query)


def divide(duration: str, factor: int) -> str:
    """A duration of one unit, divided, in whole seconds."""
    number, unit = int(duration[:-1]), duration[-1]
    return f"{max(1, number * _UNITS[unit] // factor)}s"


def write(folder: Path, factor: int) -> Path:
    """Put the shortened rules into a file below `folder`."""
    file = folder / "rules.yaml"
    file.write_text(yaml.safe_dump(shorten(factor), sort_keys=False, width=1000), encoding="utf-8")
    return file
