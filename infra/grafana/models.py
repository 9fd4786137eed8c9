"""*Model providers*: which deployments fail, are slow, or are paused."""

from grafana_foundation_sdk.builders.dashboard import Dashboard

from infra.grafana.panels import RATE, Query, board, choice, graph, number, row, states

_CHOSEN = 'deployment=~"$deployment"'
_FAILED = 'outcome!~"ok|cached|interrupted"'
_NAMED = "{{deployment}} {{model}} {{version}}"
_UNAVAILABLE, _LIMITED = "model-provider-unavailable.md", "provider-rate-limits.md"


def build() -> Dashboard:
    """The dashboard."""
    deployment = choice("deployment", "Deployment", "label_values(waybill_model_calls_total, deployment)", several=True)
    made = board("models", "Model providers", "How calls of models end, how fast they are, and what rests.", deployment)
    _now(made)
    _outcomes(made)
    _speed(made)
    _rests(made)
    return made


def _now(made: Dashboard) -> None:
    calls = f"sum(rate(waybill_model_calls_total{{{_CHOSEN}}}[{RATE}]))"
    row(
        made,
        "Now",
        number("Calls", calls, unit="ops", width=6),
        number(
            "Failed",
            f"(sum(rate(waybill_model_calls_total{{{_CHOSEN}, {_FAILED}}}[{RATE}])) or vector(0)) / {calls}",
            unit="percentunit",
            bounds=(0.02, 0.1),
            width=6,
            runbook=_UNAVAILABLE,
        ),
        number(
            "Breakers open",
            f"sum(waybill_model_breaker_state{{{_CHOSEN}}} == bool 2) or vector(0)",
            unit="none",
            bounds=(1,),
            width=6,
            about="In how many processes a deployment is left alone for a while.",
            runbook=_UNAVAILABLE,
        ),
        number(
            "Per hour",
            f"sum(model:waybill_spend_usd:rate1h{{{_CHOSEN}}}) * 3600",
            unit="currencyUSD",
            width=6,
            runbook="budget-storm.md",
        ),
    )


def _outcomes(made: Dashboard) -> None:
    row(
        made,
        "Outcomes",
        graph(
            "Calls by deployment",
            Query(
                f"sum by (deployment, operation) (model:waybill_model_calls:rate5m{{{_CHOSEN}}})",
                "{{deployment}} {{operation}}",
            ),
            unit="ops",
            stacked=True,
        ),
        graph(
            "Failed calls",
            Query(f"model:waybill_model_calls_failed:ratio_rate5m{{{_CHOSEN}}}", _NAMED),
            unit="percentunit",
            bounds=(0.02, 0.1),
            most=1,
            runbook=_UNAVAILABLE,
        ),
        graph(
            "Errors by kind",
            Query(
                f"sum by (deployment, outcome) (rate(waybill_model_calls_total{{{_CHOSEN}, {_FAILED}}}[{RATE}]))",
                "{{deployment}}: {{outcome}}",
            ),
            unit="ops",
            stacked=True,
            runbook=_UNAVAILABLE,
        ),
    )


def _speed(made: Dashboard) -> None:
    def percentile(histogram: str) -> Query:
        buckets = f"rate({histogram}_bucket{{{_CHOSEN}}}[{RATE}])"
        labels = "deployment, model, version, le"
        return Query(f"histogram_quantile(0.95, sum by ({labels}) ({buckets}))", _NAMED, exemplars=True)

    row(
        made,
        "Speed",
        graph("Duration of calls, p95", percentile("waybill_model_call_duration_seconds"), unit="s"),
        graph(
            "Time to the first token, p95",
            percentile("waybill_model_time_to_first_token_seconds"),
            unit="s",
            about="Of chats, reasoning included.",
        ),
        graph(
            "Output tokens a second, median",
            Query(f"model:waybill_model_output_tokens_per_second:p50_rate5m{{{_CHOSEN}}}", _NAMED),
            unit="none",
            about="After the first token.",
        ),
    )


def _rests(made: Dashboard) -> None:
    row(
        made,
        "Rests, breakers and fallbacks",
        graph(
            "Waits before another try",
            Query(
                f"sum by (deployment, cause) (rate(waybill_model_rests_total{{{_CHOSEN}}}[{RATE}]))",
                "{{deployment}}: {{cause}}",
            ),
            unit="ops",
            about="retry_after: the provider asked for it. breaker: a call that was not made.",
            runbook=_LIMITED,
        ),
        graph(
            "Seconds waited, a second",
            Query(
                f"sum by (deployment, cause) (rate(waybill_model_rest_seconds_total{{{_CHOSEN}}}[{RATE}]))",
                "{{deployment}}: {{cause}}",
            ),
            unit="none",
            about="2 means that two calls wait at any moment.",
            runbook=_LIMITED,
        ),
        states(
            "Breakers",
            Query(
                f"max by (deployment, operation) (waybill_model_breaker_state{{{_CHOSEN}}})",
                "{{deployment}} {{operation}}",
            ),
            {0: ("closed", "green"), 1: ("half-open", "yellow"), 2: ("open", "red")},
            about="The worst of all processes.",
            runbook=_UNAVAILABLE,
        ),
        graph(
            "Fallbacks",
            Query(
                f"sum by (deployment, code) (rate(waybill_model_fallbacks_total{{{_CHOSEN}}}[{RATE}]))",
                "{{deployment}}: {{code}}",
            ),
            unit="ops",
            about="Chats that were handed on to the next model of a chain.",
            runbook=_UNAVAILABLE,
            width=12,
        ),
        graph(
            "Tokens",
            Query(f"sum by (model, kind) (rate(waybill_tokens_total{{{_CHOSEN}}}[{RATE}]))", "{{model}} {{kind}}"),
            unit="ops",
            stacked=True,
            width=12,
        ),
    )
