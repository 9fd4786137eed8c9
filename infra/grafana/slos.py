"""*Objectives*: the remaining part of each error budget, and how fast it is used up."""

from grafana_foundation_sdk.builders.dashboard import Dashboard

from infra.grafana.panels import Query, board, graph, number, row
from infra.prometheus.objectives import FAST, OBJECTIVES, PERIOD_DAYS, SLOW, Objective
from infra.prometheus.rules import as_percent

_BURNS = ("1h", "6h", "3d")


def build() -> Dashboard:
    """The dashboard."""
    about = f"What is left of each error budget over {PERIOD_DAYS} days, and how fast it is used up."
    made = board("objectives", "Objectives", about)
    row(
        made,
        "All",
        graph(
            "Left of the error budgets",
            Query(
                f"1 - waybill_slo:bad:ratio_{PERIOD_DAYS}d / on (slo) (1 - waybill_slo:target:ratio)",
                "{{slo}}",
            ),
            unit="percentunit",
            least=None,
            most=1,
            width=12,
            about=f"100 %: nothing was bad in {PERIOD_DAYS} days, or since Prometheus began. Below 0: missed.",
        ),
        graph(
            "Burn rates over one hour",
            Query("waybill_slo:bad:ratio_1h / on (slo) (1 - waybill_slo:target:ratio)", "{{slo}}"),
            unit="none",
            bounds=(float(FAST[1].burn_rate), float(FAST[0].burn_rate)),
            width=12,
            about="1 uses up the budget in exactly the period.",
        ),
    )
    for each in OBJECTIVES:
        _objective(made, each)
    return made


def _objective(made: Dashboard, each: Objective) -> None:
    one = f'{{slo="{each.name}"}}'
    allowed = f"on (slo) (1 - waybill_slo:target:ratio{one})"
    unit = "none" if each.kind == "time" else "ops"
    row(
        made,
        f"{each.title}: {as_percent(each.target)} {each.good}",
        number(
            "Left of the budget",
            f"1 - waybill_slo:bad:ratio_{PERIOD_DAYS}d{one} / {allowed}",
            unit="percentunit",
            bounds=(0, 0.25),
            falling=True,
            runbook=each.runbook,
        ),
        number(
            "Bad, one hour",
            f"waybill_slo:bad:ratio_1h{one}",
            unit="percentunit",
            bounds=(float(each.budget), float(FAST[0].burn_rate * each.budget)),
            runbook=each.runbook,
        ),
        graph(
            "Burn rate",
            *(Query(f"waybill_slo:bad:ratio_{window}{one} / {allowed}", window) for window in _BURNS),
            unit="none",
            bounds=(float(SLOW[0].burn_rate), float(FAST[0].burn_rate)),
            runbook=each.runbook,
        ),
        graph(
            "Events" if each.kind == "events" else "Is it bad",
            Query(f"waybill_slo:all:rate5m{one}", "all"),
            Query(f"waybill_slo:bad:rate5m{one}", "bad"),
            unit=unit,
            runbook=each.runbook,
        ),
    )
