"""A chargeback statement as a table for programs (CSV) and as a page for people (HTML, to be printed)."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import date, timedelta
from html import escape
from typing import Any

from core.kit.ids import KEY, PROJECT, encode
from core.kit.money import ZERO, format_money
from core.ledger.reports import charts
from core.ledger.reports.delimited import to_csv, utc_text
from core.ledger.reports.records import Statement, Totals
from core.ledger.reports.statement import sum_by

CSV_COLUMNS = (
    "month",
    "project_id",
    "project",
    "cost_centre",
    "day",
    "capability",
    "provider",
    "model",
    "key_id",
    "key",
    "calls",
    "jobs",
    "amount_usd",
    "estimated_usd",
    "corrections_usd",
    "unpriced_calls",
)
_BARS_MAX = 12
_STYLE = """
body { font: 14px/1.45 system-ui, sans-serif; color: #1b1f24; max-width: 760px; margin: 32px auto; padding: 0 16px; }
h1 { font-size: 22px; margin: 0 0 4px; } h2 { font-size: 16px; margin: 28px 0 8px; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 2px 16px; } dt { color: #57606a; } dd { margin: 0; }
table { border-collapse: collapse; width: 100%; } th, td { padding: 4px 8px; text-align: left; }
th { border-bottom: 2px solid #1b1f24; } td { border-bottom: 1px solid #d8dee4; overflow-wrap: anywhere; }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
tfoot td { border-bottom: 0; font-weight: 600; } svg { width: 100%; height: auto; } svg text { font-size: 11px; }
svg rect { fill: #2f6f9f; } .total { font-size: 26px; font-weight: 600; } .note { color: #57606a; font-size: 12px; }
@media print { body { margin: 0; max-width: none; } h2 { break-after: avoid; } tr, svg { break-inside: avoid; } }
"""


def to_statement_csv(statement: Statement) -> str:
    """One line per day, capability, model and key; the amounts add up to the statement's total."""
    project = statement.project
    fixed = (_month(statement), encode(PROJECT, project.id), project.name, project.cost_centre)
    body = ((*fixed, *_line(line)) for line in statement.lines)
    return to_csv([CSV_COLUMNS, *body])


def to_statement_html(statement: Statement) -> str:
    """A self-contained page: charts are inline SVG, and there is no script."""
    project, lines = statement.project, statement.lines
    title = f"{project.name}, {_month(statement)}"
    facts = [
        ("Organisation", project.organization),
        ("Project", f"{project.name} ({encode(PROJECT, project.id)})"),
        ("Cost centre", project.cost_centre or "not set"),
        (
            "Period",
            f"{utc_text(statement.window.begins)} to {utc_text(statement.window.ends)}, by acceptance of the job",
        ),
        ("Jobs", f"{statement.jobs:,}"),
        ("Model calls", f"{sum(line.calls for line in lines):,}"),
        ("Made", utc_text(statement.made_at)),
    ]
    capabilities = _ranked(lines, "capability")
    models = _ranked(lines, "provider", "model")
    keys = _ranked_keys(lines)
    return "".join(
        [
            '<!doctype html><html lang="en"><head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>Statement: {escape(title)}</title><style>{_STYLE}</style></head><body>",
            f'<h1>Statement of AI usage</h1><p class="total">{_total(statement).words} USD</p><dl>',
            *(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in facts),
            "</dl><h2>By day</h2>",
            charts.columns("US dollars by day", list(_days(statement))),
            "<h2>By capability</h2>",
            *_section("Capability", capabilities, _total(statement)),
            "<h2>By model</h2>",
            *_section("Model", models, _total(statement)),
            "<h2>By key</h2>",
            *_section("Key", keys, _total(statement)),
            _note(lines),
            "</body></html>",
        ]
    )


def _note(lines: Sequence[Totals]) -> str:
    estimated = sum((line.estimated_usd for line in lines), start=ZERO)
    corrections = sum((line.corrections_usd for line in lines), start=ZERO)
    unpriced = sum(line.unpriced_calls for line in lines)
    left_out = f" {unpriced:,} calls had no price and are in no amount." if unpriced else ""
    return (
        f'<p class="note">Of this, {format_money(estimated)} USD are estimates (a provider reported no usage, or a'
        f" worker was lost during a call) and {format_money(corrections)} USD are corrections. Amounts are exact sums"
        f" of ledger lines.{left_out}</p>"
    )


def _line(line: Totals) -> tuple[Any, ...]:
    group = line.group
    key_id = group["key_id"]
    return (
        group["day"],
        group["capability"],
        group["provider"],
        group["model"],
        None if key_id is None else encode(KEY, key_id),
        group["key"],
        line.calls,
        line.jobs,
        None if line.unpriced_calls and not line.amount_usd else line.amount_usd,
        line.estimated_usd,
        line.corrections_usd,
        line.unpriced_calls,
    )


def _month(statement: Statement) -> str:
    return f"{statement.window.begins:%Y-%m}"


def _days(statement: Statement) -> Iterator[charts.Bar]:
    by_day = sum_by(statement.lines, "day")
    day: date = statement.window.begins.date()
    while day < statement.window.ends.date():
        yield charts.Bar(str(day.day), *by_day.get((day,), (ZERO, True)))
        day += timedelta(days=1)


def _ranked_keys(lines: Sequence[Totals]) -> list[charts.Bar]:
    """The most expensive first; two keys with the same name stay separate."""
    sums = sum_by(lines, "key_id", "key")
    return _sorted(charts.Bar(_key_name(key_id, name), *cost) for (key_id, name), cost in sums.items())


def _key_name(key_id: Any, name: Any) -> str:
    if key_id is None:
        return "no key"
    return str(name or encode(KEY, key_id))


def _ranked(lines: Sequence[Totals], *columns: str) -> list[charts.Bar]:
    """The most expensive first."""
    sums = sum_by(lines, *columns)
    return _sorted(charts.Bar("/".join(map(str, group)), *cost) for group, cost in sums.items())


def _sorted(bars: Iterable[charts.Bar]) -> list[charts.Bar]:
    return sorted(bars, key=lambda bar: (-bar.value, bar.name))


def _total(statement: Statement) -> charts.Bar:
    return charts.Bar("Total", statement.total, not statement.unpriced_calls)


def _section(name: str, bars: Sequence[charts.Bar], total: charts.Bar) -> Iterable[str]:
    yield charts.rows(f"US dollars by {name.lower()}", bars[:_BARS_MAX])
    yield f'<table><thead><tr><th>{name}</th><th class="n">USD</th><th class="n">Share</th></tr></thead><tbody>'
    for bar in bars:
        share = f"{bar.value / total.value:.1%}" if total.value > 0 and total.priced else ""
        yield f'<tr><td>{escape(bar.name)}</td><td class="n">{bar.words}</td><td class="n">{share}</td></tr>'
    yield f'</tbody><tfoot><tr><td>{total.name}</td><td class="n">{total.words}</td><td></td></tr></tfoot></table>'
