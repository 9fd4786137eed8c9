"""*Quality*: whether quality gets worse, as far as numbers without tenants can show."""

from grafana_foundation_sdk.builders.dashboard import Dashboard

from infra.grafana.panels import RATE, Query, board, graph, number, row, values

# The codes of attempts whose model answered, but not well enough.
_UNUSABLE = 'reason=~"answer_malformed|answer_withheld|invalid_output|provider_bad_response"'
_PAGE = "quality-dropped.md"


def build() -> Dashboard:
    """The dashboard."""
    about = (
        "Whether answers get worse. Series by model version, with intervals and the cases behind them, are in the"
        " product: waybill quality."
    )
    made = board("quality", "Quality", about)
    row(
        made,
        "Alerts",
        number(
            "Open alerts",
            "sum(max by (capability, signal) (waybill_quality_alerts_open)) or vector(0)",
            unit="none",
            bounds=(1,),
            width=6,
            runbook=_PAGE,
        ),
        number(
            "Answers that could not be used",
            f"sum(increase(waybill_job_attempts_ended_total{{{_UNUSABLE}}}[1h])) or vector(0)",
            unit="none",
            about="In the last hour: withheld, malformed, or of another schema than the capability's.",
            width=6,
            runbook="jobs-fail.md",
        ),
        number(
            "Blocked by the guard",
            'sum(increase(waybill_guard_verdicts_total{verdict="blocked"}[1h])) or vector(0)',
            unit="none",
            width=6,
            runbook="guard-unavailable.md",
        ),
        number(
            "Answered by another model",
            "sum(increase(waybill_model_fallbacks_total[1h])) or vector(0)",
            unit="none",
            about="Fallbacks in the last hour: the next model of a chain may answer worse.",
            width=6,
            runbook="model-provider-unavailable.md",
        ),
    )
    row(
        made,
        "Over time",
        graph(
            "Open alerts by capability and signal",
            Query("max by (capability, signal) (waybill_quality_alerts_open)", "{{capability}}: {{signal}}"),
            unit="none",
            bounds=(1,),
            width=12,
            runbook=_PAGE,
        ),
        values(
            "Open alerts now",
            Query("max by (capability, signal) (waybill_quality_alerts_open) > 0"),
            unit="none",
            width=12,
            runbook=_PAGE,
        ),
        graph(
            "Answers that could not be used",
            Query(
                f"sum by (capability, reason) (rate(waybill_job_attempts_ended_total{{{_UNUSABLE}}}[{RATE}]))",
                "{{capability}}: {{reason}}",
            ),
            unit="ops",
            runbook="jobs-fail.md",
        ),
        graph(
            "Tool calls that were not done",
            Query(
                f'sum by (server, tool, outcome) (rate(waybill_tool_calls_total{{outcome!="done"}}[{RATE}]))',
                "{{server}} {{tool}}: {{outcome}}",
            ),
            unit="ops",
        ),
        graph(
            "Findings of the guard",
            Query(
                f"topk(10, sum by (kind, action) (rate(waybill_guard_findings_total[{RATE}])))", "{{kind}}: {{action}}"
            ),
            unit="ops",
            about="A jump is a change of what comes in, or of the policy.",
        ),
    )
    return made
