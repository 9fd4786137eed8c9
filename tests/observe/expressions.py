"""Does every query of the dashboards and rules return data? The few that need a fault are listed, with the reason."""

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import yaml

from infra.grafana.dashboards import FOLDER, queries
from infra.prometheus.rules import ALERTS, RULES
from tests.factories.queries import runnable, series_of
from tests.observe.monitoring import FACTOR, Monitoring
from tests.observe.shortening import shorten_query

_WINDOW = "60s"
_POOL = "probe"

# Series that a healthy stack has nothing to say of, and why: a query that asks for one of them may return nothing. On a
# busy machine some have something to say: a message was late, a breaker has moved.
QUIET = {
    "waybill_guard_": "the guard is not started: it takes 300 MB, and its policy would change every job",
    "waybill_organization_": "the operator has named no organization (WAYBILL_METRICS_ORGANIZATIONS)",
    "waybill_quality_alerts_open": "nothing has got worse",
    "waybill_leases_lost_total": "no worker was lost",
    "waybill_messages_lost_total": "the broker has lost nothing",
    "waybill_duplicate_messages_refused_total": "the broker has delivered nothing twice",
    "waybill_swept_jobs_total": "no job was moved on by the dispatcher",
    "waybill_worker_replacements_total": "no worker was replaced",
    "waybill_database_wait_seconds": "connections were free",
    "waybill_model_fallbacks_total": "no model was given up for another",
    "waybill_model_breaker_state": "no breaker has moved",
    "waybill_tool_calls_total": "all tools did what they were asked",
    "ALERTS": "nothing fires",
    "waybill_unpriced_calls_total": "everything has a price",
}
# Selections that ask for what goes wrong.
_FAULTY = re.compile(r'outcome="failed"|outcome!="succeeded"|outcome!~"ok\|cached|status="5xx"|reason=~"|> 1000|> 0$')


FAULTY = "asks for what goes wrong"


@dataclass(frozen=True, slots=True)
class Asked:
    """A query, and where it stands."""

    where: str
    expr: str


def asked() -> Iterator[Asked]:
    """Every query of every dashboard, and what is recorded."""
    for file in sorted(FOLDER.glob("*.json")):
        for title, target in queries(json.loads(file.read_text(encoding="utf-8"))):
            yield Asked(f"{file.stem}: {title}", runnable(target["expr"], _WINDOW, pool=_POOL))
    for file in (ALERTS, RULES):
        for group in yaml.safe_load(file.read_text(encoding="utf-8"))["groups"]:
            for rule in group["rules"]:
                if "record" in rule:
                    yield Asked(rule["record"], shorten_query(rule["expr"], FACTOR))
                else:
                    for name in sorted(series_of(rule["expr"])):
                        yield Asked(f"{rule['alert']} asks for {name}", name)


def excuse_of(expr: str) -> str | None:
    """The entry of `QUIET` that lets a query return nothing, or that it asks for what goes wrong; None: it may not."""
    if _FAULTY.search(expr):
        return FAULTY
    return next((name for name in QUIET if name in expr), None)


def check(monitoring: Monitoring) -> tuple[int, dict[str, str], list[str]]:
    """How many queries return data, the excuses of those that do not, and which should, or excuses without a query."""
    full, quiet, wrong = 0, {}, []
    every = list(asked())
    for each in every:
        if monitoring.query(each.expr):
            full += 1
        elif (excuse := excuse_of(each.expr)) is not None:
            quiet[each.where] = excuse
        else:
            wrong.append(f"{each.where}: {each.expr}")
    wrong += [f"{name} may be quiet, and no query asks for it" for name in without_a_query(every)]
    return full, quiet, wrong


def without_a_query(every: Iterable[Asked]) -> set[str]:
    """The entries of `QUIET` that no query needs."""
    return QUIET.keys() - {excuse_of(each.expr) for each in every}
