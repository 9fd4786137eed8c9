"""Renders the metrics reference: ``python -m core.kit.metrics_reference > docs/reference/metrics.md``."""

import sys
from importlib import import_module

from core.kit.metrics.families import EVERY, FAMILIES, VALUES_MAX, Family

_THEMES = ("http", "jobs", "models", "money", "effects", "guard", "quality", "operations")
_TITLES = {
    "http": "Requests and streams",
    "jobs": "Jobs, queues and pools",
    "models": "Model calls",
    "money": "Tokens and money",
    "effects": "Tools and webhooks",
    "guard": "Guard",
    "quality": "Quality",
    "operations": "The platform itself",
}
_UNITS = {"_seconds": "seconds", "_bytes": "bytes", "_usd": "US dollars", "_ratio": "ratio"}
_HEAD = f"""\
# Metrics

Every process of Waybill counts what it does, and answers `GET /metrics` with it for Prometheus. This page is written by
`python -m core.kit.metrics_reference` from the definitions in `core/kit/metrics`; a test keeps it true.

## Where they are

* **`waybill up`**: the API answers on its own port, and every other process on a port of its own on loopback, which
  `waybill up --json` names. There is nothing to turn on; give Prometheus the file `prometheus-targets.json` in
  `WAYBILL_HOME`.
* **Compose**: the API's port 8080, and 9100 of every other container, in the network `metrics`. With
  `--profile observe` a Prometheus comes along that scrapes them.
* **Helm chart**: the port `http` of the API's pods and the port `metrics`, 9100, of all others.
  `monitoring.enabled: true` makes a PodMonitor of them, and a PrometheusRule of the alerts.
* **A process that you start yourself**: `WAYBILL_METRICS_PORT`; 0, the default, means none.

`/metrics` asks for no key and holds no payload, no secret and, but for the organizations that you name, no tenant. Keep
it inside: the Caddyfile and the routes of the chart do not publish it.

```yaml
# prometheus.yml for `waybill up`
scrape_configs:
  - job_name: waybill
    honor_labels: true
    file_sd_configs: [{{files: [/home/you/.local/share/waybill/prometheus-targets.json]}}]
```

## Labels are bounded

A label is a name from the code (a route's template, a state), from the operator (a pool, a deployment, a tool), or of a
model. Where others choose the names (models of a tenant, steps, error codes), a process shows the first {VALUES_MAX}
that it meets and calls all later ones `other`. No label names a tenant, except for the organizations in
`WAYBILL_METRICS_ORGANIZATIONS`, which have counters of their own. What tenants spend is in Postgres:
[costs](costs.md).

The counters of money are floating-point numbers that begin at 0 with each process. The ledger is exact: bill by it.

## Exemplars

Histograms that say so carry the id of the trace of their latest observation in each bucket, so that a dashboard leads
from a slow request to its trace. Exemplars exist only in the OpenMetrics format, which a scraper gets that asks for it
(`Accept: application/openmetrics-text`; Prometheus does, and stores them with `--enable-feature=exemplar-storage`). A
trace that is not sampled has none.

## Processes that share a folder

With `PROMETHEUS_MULTIPROC_DIR` (an empty folder, set before the process starts) a worker and its children count
together, and any of them answers for all. A pool of kind `prefork` needs it. prometheus_client supports no exemplars
there, nor its own metrics of the process (`process_*`, `python_*`).

Without it, two things are not counted: what a job does that runs in a process of its own after its worker was lost
([a job crashes its workers](../runbooks/poison-job.md)), and what a worker counted between its last scrape and its end.
The ledger and the events of jobs have both.

## Clocks

`waybill_stream_lag_seconds` compares the clock of the process that made an event with the API's, so clocks that differ
show in it ([clocks differ](../runbooks/clock-skew.md)).

What the dispatcher reads from Postgres it reads every 15 seconds, tables and budgets every minute, and less often where
reading takes long. Only the dispatcher that owns the first pool does; the others report 0, so take the `max` over
dispatchers.
"""


def render() -> str:
    """The page as Markdown."""
    sections = [_HEAD]
    for theme in _THEMES:
        module = import_module(f"core.kit.metrics.{theme}")
        rows = [_row(family) for family in FAMILIES if family.theme == theme]
        sections.append(
            f"## {_TITLES[theme]}\n\n{_prose(module.__doc__)}\n\n"
            "| metric | type | unit | labels | counted by | |\n|---|---|---|---|---|---|\n" + "\n".join(rows) + "\n"
        )
    return "\n".join(sections)


def _prose(docstring: str | None) -> str:
    return (docstring or "").strip().replace("``", "`")


def _row(family: Family) -> str:
    unit = next((unit for suffix, unit in _UNITS.items() if _stem(family).endswith(suffix)), "")
    labels = ", ".join(f"`{label}`" for label in family.labels)
    processes = "every process" if family.processes == EVERY else ", ".join(family.processes)
    kind = f"{family.kind}, exemplars" if family.exemplars else family.kind
    return f"| `{family.name}` | {kind} | {unit} | {labels} | {processes} | {family.help} |"


def _stem(family: Family) -> str:
    return family.name.removesuffix("_total")


if __name__ == "__main__":
    sys.stdout.write(render())
