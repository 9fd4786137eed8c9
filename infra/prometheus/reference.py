"""Generates docs/reference/slos.md from the objectives."""

from pathlib import Path

from infra.prometheus.objectives import (
    BAD_EVENTS_MIN,
    FAST,
    OBJECTIVES,
    PERIOD_DAYS,
    PLATFORM_FAULTS,
    SLOW,
    Objective,
    Window,
)
from infra.prometheus.rules import as_percent

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "slos.md"
_RUNBOOKS = "../runbooks"


def render() -> str:
    """The page."""
    rows = "\n".join(map(_row, OBJECTIVES))
    windows = "\n".join(
        [*(_window(each, "fast") for each in FAST), *(_window(each, "slow") for each in SLOW)],
    )
    faults = ", ".join(f"`{each}`" for each in PLATFORM_FAULTS)
    return f"""\
# Service level objectives

What Waybill is expected to do over {PERIOD_DAYS} days, and when it says that this is in danger. Change the numbers in
[`infra/prometheus/objectives.py`](../../infra/prometheus/objectives.py); `python -m infra.prometheus` then makes the
rules and this page again, and `python -m infra.grafana` the dashboard *Objectives*.

| objective | what is good | may be bad | fast burn | slow burn | runbook |
|---|---|---|---|---|---|
{rows}

A job counts as failed by the platform with one of these codes: {faults}.
What the input, the model's answer, a budget or a provider is to blame for does not count; an outage of a provider lets
jobs wait ([jobs](jobs.md)).

## When an alert fires

An objective leaves an error budget, such as one submission in a thousand. The burn rate says how many times faster than
planned it is used up. An alert needs the rate over a long window, so that a short disturbance does not page, and over a
short one, so that it ends soon after the fault does. These are the windows of Google's *Site Reliability Workbook*,
chapter 5.

| alert | burn rate | long window | short window | budget used when it fires |
|---|---|---|---|---|
{windows}

At least {BAD_EVENTS_MIN} events of the long window have to be bad, so that one failure on a quiet night does not page.
A window that is longer than what Prometheus has seen holds what it has: in a new installation the slow burn fires soon.

## Without a budget

These allow nothing, and have one alert each:

| alert | severity | fires when |
|---|---|---|
| [`WaybillInvariantViolated`]({_RUNBOOKS}/invariant-violated.md) | page | balances, ledger or audit disagree |
| [`WaybillQualityDropped`]({_RUNBOOKS}/quality-dropped.md) | ticket | answers of a capability got worse |
| [`WaybillBudgetsExhaustSoon`]({_RUNBOOKS}/budget-storm.md) | ticket | a budget will be exhausted within 24 hours |

## What is recorded

| series | what it is |
|---|---|
| `waybill_slo:bad:rate5m` | bad events a second; for an objective of time, whether it is bad now (1 or 0) |
| `waybill_slo:all:rate5m` | all events a second; for an objective of time, 1 |
| `waybill_slo:bad:ratio_5m` to `_{PERIOD_DAYS}d` | the bad share over a window; missing where nothing happened |
| `waybill_slo:target:ratio` | the share that has to be good |

The label `slo` names the objective. `1 - waybill_slo:bad:ratio_{PERIOD_DAYS}d / (1 - waybill_slo:target:ratio)` is what
is left of its error budget. Latency is counted as the share of requests within a bound, which adds up over windows and
instances, as a percentile does not. Prometheus counts the increase of a series from the first time it sees it, so that
the first error of its kind that a process counts is missing.
"""


def _row(each: Objective) -> str:
    fast, slow = (f"`{each.alert}Burns{speed}` ({how})" for speed, how in (("Fast", each.fast), ("Slowly", "ticket")))
    return (
        f"| {each.title} | {as_percent(each.target)} {each.good} | {as_percent(each.budget)} | {fast} | {slow} "
        f"| [{each.runbook.removesuffix('.md')}]({_RUNBOOKS}/{each.runbook}) |"
    )


def _window(each: Window, speed: str) -> str:
    return f"| {speed} burn | {each.burn_rate:f} | {each.long} | {each.short} | {each.budget_percent} % |"
