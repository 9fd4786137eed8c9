"""Ratios and percentiles by capability, pool and model, recorded once for all dashboards."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Recording:
    """A recording rule: its name, as Prometheus' documentation builds it (level, metric, operation), and PromQL."""

    name: str
    expr: str


_ATTEMPTS = "waybill_job_attempt_duration_seconds_count"
_MODEL = "provider, deployment, model, version"
_CALLS = "waybill_model_calls_total"


def _percentile(level: str, labels: str, histogram: str, quantile: float = 0.95) -> Recording:
    rates = f"sum by ({labels}, le) (rate({histogram}_bucket[5m]))"
    name = f"{level}:{histogram}:p{round(quantile * 100)}_rate5m"
    return Recording(name, f"histogram_quantile({quantile:g}, {rates})")


def _share(level: str, labels: str, name: str, counter: str, selected: str) -> Recording:
    """The share of `selected` series among all of a counter; 0 if there are none."""
    everything = f"sum by ({labels}) (rate({counter}[5m]))"
    part = f"sum by ({labels}) (rate({counter}{{{selected}}}[5m]))"
    return Recording(f"{level}:{name}:ratio_rate5m", f"({part}\nor {everything} * 0)\n/ ({everything} > 0)")


RECORDINGS = (
    Recording(
        "route:waybill_http_requests:rate5m", "sum by (method, route, status) (rate(waybill_http_requests_total[5m]))"
    ),
    _percentile("route", "method, route", "waybill_http_request_duration_seconds"),
    Recording("capability:waybill_job_attempts:rate5m", f"sum by (capability, outcome) (rate({_ATTEMPTS}[5m]))"),
    _share("capability", "capability", "waybill_job_attempts_failed", _ATTEMPTS, 'outcome="failed"'),
    _share("capability", "capability", "waybill_job_attempts_requeued", _ATTEMPTS, 'outcome="requeued"'),
    _percentile("capability", "capability", "waybill_job_attempt_duration_seconds"),
    _percentile("capability", "capability", "waybill_job_wait_seconds"),
    Recording(
        "pool:waybill_pool_slots_busy:ratio",
        "max by (pool) (waybill_pool_slots_busy) / (max by (pool) (waybill_pool_slots) > 0)",
    ),
    Recording("pool:waybill_dispatched_jobs:rate5m", "sum by (pool) (rate(waybill_dispatched_jobs_total[5m]))"),
    Recording("model:waybill_model_calls:rate5m", f"sum by ({_MODEL}, operation) (rate({_CALLS}[5m]))"),
    _share("model", _MODEL, "waybill_model_calls_failed", _CALLS, 'outcome!~"ok|cached|interrupted"'),
    _percentile("model", _MODEL, "waybill_model_call_duration_seconds"),
    _percentile("model", _MODEL, "waybill_model_time_to_first_token_seconds"),
    _percentile("model", _MODEL, "waybill_model_output_tokens_per_second", 0.5),
    Recording("model:waybill_spend_usd:rate1h", f"sum by ({_MODEL}) (rate(waybill_spend_usd_total[1h]))"),
    Recording("capability:waybill_spend_usd:rate1h", "sum by (capability) (rate(waybill_spend_usd_total[1h]))"),
)
