"""What a query in PromQL asks for, held against what the product exports and its rules record."""

import re
from functools import cache

from prometheus_client import REGISTRY

import core.kit.metrics  # noqa: F401 - registers what the product counts
from infra.prometheus.rules import groups

_SERIES = re.compile(r"(?<![\w:])(?P<name>(?:\w+:)?waybill_\w+(?::\w+)*)(?:{(?P<labels>[^}]*)})?")
_GROUPING = re.compile(r"\bby \(([\w, ]+)\)")
_SELECTED = re.compile(r"(\w+)\s*(?:=~|!~|!=|=)")
# Given by whoever scrapes: Prometheus itself, and infra/prometheus/prometheus.yml.
_SCRAPED = {"instance", "job", "process"}


@cache
def known_series() -> dict[str, set[str]]:
    """The labels of every series that is exported or recorded, whether or not anything has been counted yet."""
    found: dict[str, set[str]] = {}
    for collector in set(REGISTRY._collector_to_names):
        for name in REGISTRY._collector_to_names[collector]:
            labels = set(getattr(collector, "_labelnames", ())) | _SCRAPED
            found[name] = labels | {"le"} if name.endswith("_bucket") else labels
    for group in groups():
        for rule in group.rules:
            if rule.kind == "record":
                grouped = _grouped(rule.expr) - {"le"}
                found[rule.name] = {"slo"} if rule.name.startswith("waybill_slo:") else grouped
    return found


def series_of(query: str) -> set[str]:
    """The names of the product's series in a query."""
    return {found["name"] for found in _SERIES.finditer(query)}


def faults_of(query: str) -> list[str]:
    """What a query asks for that does not exist: a series, or a label of one that it selects or groups by."""
    faults: list[str] = []
    grouped = _grouped(query)
    for found in _SERIES.finditer(query):
        name = found["name"]
        if name not in known_series():
            faults.append(f"{name} is neither exported nor recorded")
            continue
        asked = set(_SELECTED.findall(found["labels"] or "")) | grouped
        faults += [f"{name} has no label {each}" for each in sorted(asked - known_series()[name])]
    return faults


def _grouped(query: str) -> set[str]:
    return {label.strip() for found in _GROUPING.findall(query) for label in found.split(",")}


def runnable(query: str, window: str = "1m", **chosen: str) -> str:
    """A dashboard's query as Prometheus takes it: Grafana's variables replaced, by ``.*`` where nothing is `chosen`."""
    query = query.replace("$__rate_interval", window)
    return re.sub(r"\$(\w+)", lambda found: chosen.get(found[1], ".*"), query)
