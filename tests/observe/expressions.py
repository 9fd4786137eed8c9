"""Does every query of the dashboards and rules return data? The few that need a fault are listed, with the reason."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

import yaml

from infra.grafana.dashboards import FOLDER, queries
from infra.prometheus.rules import ALERTS, RULES
from tests.factories.queries import runnable, series_of
from tests.observe.monitoring import FACTOR, Monitoring
from tests.observe.shortening import shorten_query

_WINDOW = "60s"
_POOL = "probe"

# Series that a healthy stack has nothing to say of, and why. A query that asks for one of them, and returns nothing, is
# no fault; what returns data all the same is a mistake in this list.
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
    "kube_": "kube-state-metrics is Kubernetes'",
}
# Selections that ask for what goes wrong.
_FAULTY = re.compile(r'outcome="failed"|outcome!="succeeded"|outcome!~"ok\|cached|status="5xx"|reason=~"|> 1000|> 0$')


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


def reason_of(expr: str) -> str | None:
    """Why a healthy stack may return nothing for a query; None if it should."""
    if _FAULTY.search(expr):
        return "asks for what goes wrong"
    return next((reason for name, reason in QUIET.items() if name in expr), None)


def check(monitoring: Monitoring) -> tuple[int, dict[str, str], list[str]]:
    """How many queries return data, those that are quiet and why, and those that should have returned data."""
    full, quiet, missing = 0, {}, []
    for each in asked():
        if monitoring.query(each.expr):
            full += 1
        elif (reason := reason_of(each.expr)) is not None:
            quiet[each.where] = reason
        else:
            missing.append(f"{each.where}: {each.expr}")
    return full, quiet, missing
