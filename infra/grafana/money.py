"""*Tenants and money*: spending by kind, remaining budgets, and the tenants named by the operator."""

from grafana_foundation_sdk.builders.dashboard import Dashboard

from infra.grafana.panels import RATE, Query, bars, board, graph, number, row, values

_HOUR = 3600


def build() -> Dashboard:
    """The dashboard."""
    about = (
        "What is spent on what, and what budgets have left. The ledger is exact, and these are rates of floating-point"
        " numbers: bill by the ledger. Tenants are named where WAYBILL_METRICS_ORGANIZATIONS names them."
    )
    made = board("money", "Tenants and money", about)
    _now(made)
    _spending(made)
    _budgets(made)
    _tenants(made)
    return made


def _now(made: Dashboard) -> None:
    row(
        made,
        "Now",
        number("Spent in 24 hours", "sum(increase(waybill_spend_usd_total[24h]))", unit="currencyUSD", width=4),
        number(
            "Per hour",
            f"sum(capability:waybill_spend_usd:rate1h) * {_HOUR}",
            unit="currencyUSD",
            runbook="budget-storm.md",
        ),
        number(
            "Set aside for open jobs",
            "max(waybill_reserved_usd)",
            unit="currencyUSD",
            about="Of job trees that have not ended; what they spend is taken from it.",
        ),
        number(
            "Budgets exhausted",
            'sum(max by (hard) (waybill_budgets{band="exhausted"})) or vector(0)',
            unit="none",
            bounds=(1,),
            runbook="budget-storm.md",
        ),
        number(
            "Exhausted within a day",
            "max(waybill_budgets_exhausting_soon)",
            unit="none",
            bounds=(1,),
            runbook="budget-storm.md",
        ),
        number(
            "Invariants violated",
            "max(waybill_invariant_violations)",
            unit="none",
            bounds=(1,),
            runbook="invariant-violated.md",
        ),
    )


def _spending(made: Dashboard) -> None:
    row(
        made,
        "Spending",
        graph(
            "By capability, per hour",
            Query(f"capability:waybill_spend_usd:rate1h * {_HOUR}", "{{capability}}"),
            unit="currencyUSD",
            stacked=True,
            runbook="budget-storm.md",
        ),
        graph(
            "By model, per hour",
            Query(f"sum by (model, version) (model:waybill_spend_usd:rate1h) * {_HOUR}", "{{model}} {{version}}"),
            unit="currencyUSD",
            stacked=True,
        ),
        bars(
            "By model and capability, 24 hours",
            Query(
                "topk(10, sum by (model, capability) (increase(waybill_spend_usd_total[24h])))",
                "{{model}}: {{capability}}",
            ),
            unit="currencyUSD",
        ),
        graph(
            "Tokens by kind",
            Query(f"sum by (kind) (rate(waybill_tokens_total[{RATE}]))", "{{kind}}"),
            unit="ops",
            stacked=True,
            about="A token counts in exactly one kind.",
        ),
        graph(
            "Tokens by capability",
            Query(f"sum by (capability) (rate(waybill_tokens_total[{RATE}]))", "{{capability}}"),
            unit="ops",
            stacked=True,
        ),
        graph(
            "Calls without a price",
            Query(f"sum by (provider, model) (rate(waybill_unpriced_calls_total[{RATE}]))", "{{provider}}: {{model}}"),
            unit="ops",
            runbook="price-missing.md",
        ),
    )


def _budgets(made: Dashboard) -> None:
    row(
        made,
        "Budgets and reservations",
        graph(
            "Budgets by what is left",
            Query('max by (band) (waybill_budgets{hard="true"})', "{{band}} (hard)"),
            Query('max by (band) (waybill_budgets{hard="false"})', "{{band}} (warns)"),
            unit="none",
            runbook="budget-storm.md",
        ),
        graph(
            "Reservations",
            Query("max(waybill_reservations_open)", "open job trees"),
            unit="none",
            about="As many as there are running and queued trees; more that stay are a leak.",
            runbook="invariant-violated.md",
        ),
        graph(
            "Calls of lost workers",
            Query(f"sum(rate(waybill_swept_calls_total[{RATE}]))", "settled by the dispatcher"),
            unit="ops",
            runbook="poison-job.md",
        ),
    )


def _tenants(made: Dashboard) -> None:
    row(
        made,
        "Organizations that WAYBILL_METRICS_ORGANIZATIONS names",
        graph(
            "Spending, per hour",
            Query(
                f"sum by (organization) (rate(waybill_organization_spend_usd_total[1h])) * {_HOUR}", "{{organization}}"
            ),
            unit="currencyUSD",
            stacked=True,
            runbook="noisy-tenant.md",
        ),
        graph(
            "Attempts",
            Query(
                f"sum by (organization, outcome) (rate(waybill_organization_job_attempts_total[{RATE}]))",
                "{{organization}}: {{outcome}}",
            ),
            unit="ops",
            stacked=True,
            runbook="noisy-tenant.md",
        ),
        values(
            "Least left of any budget",
            Query("max by (organization) (waybill_organization_budget_headroom_ratio)", "{{organization}}"),
            unit="percentunit",
            runbook="budget-storm.md",
        ),
    )
