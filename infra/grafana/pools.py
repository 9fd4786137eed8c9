"""*Pool*: one pool of workers, selected above."""

from grafana_foundation_sdk.builders.dashboard import Dashboard

from infra.grafana.panels import RATE, Query, board, choice, graph, number, row

_POOL = 'pool="$pool"'
# A pool has the name of its capabilities' folder; remote capabilities have other names.
_CAPABILITY = 'capability=~"$pool[.].+"'


def build() -> Dashboard:
    """The dashboard."""
    pool = choice("pool", "Pool", "label_values(waybill_queue_depth, pool)")
    about = "One pool of workers: its queue, its slots, how its jobs go. Panels by capability hold those of its folder."
    made = board("pool", "Pool", about, pool)
    _now(made)
    _queue(made)
    _jobs(made)
    _losses(made)
    return made


def _now(made: Dashboard) -> None:
    row(
        made,
        "Now",
        number(
            "Queued",
            f'max(waybill_queue_depth{{{_POOL}, state="queued"}}) or vector(0)',
            unit="none",
            runbook="jobs-wait.md",
        ),
        number("Running", f'max(waybill_queue_depth{{{_POOL}, state="running"}}) or vector(0)', unit="none"),
        number(
            "Oldest wait",
            f'max(waybill_queue_oldest_wait_seconds{{{_POOL}, state="queued"}}) or vector(0)',
            unit="s",
            bounds=(60, 300),
            runbook="jobs-wait.md",
        ),
        number("Slots", f"max(waybill_pool_slots{{{_POOL}}})", unit="none", runbook="no-worker.md"),
        number(
            "Busy slots",
            f"pool:waybill_pool_slots_busy:ratio{{{_POOL}}}",
            unit="percentunit",
            bounds=(0.8, 0.95),
            runbook="jobs-wait.md",
        ),
        number(
            "Since the dispatcher's last round",
            f"time() - max(waybill_pool_round_timestamp_seconds{{{_POOL}}})",
            unit="s",
            bounds=(60,),
            runbook="no-dispatcher.md",
        ),
    )


def _queue(made: Dashboard) -> None:
    row(
        made,
        "Queue and slots",
        graph(
            "Jobs by state",
            Query(f"max by (state) (waybill_queue_depth{{{_POOL}}})", "{{state}}"),
            unit="none",
            stacked=True,
            runbook="jobs-wait.md",
        ),
        graph(
            "Slots",
            Query(f"max(waybill_pool_slots{{{_POOL}}})", "announced"),
            Query(f"max(waybill_pool_slots_busy{{{_POOL}}})", "busy"),
            unit="none",
            runbook="no-worker.md",
        ),
        graph(
            "Busy slots by worker",
            Query(f"sum by (instance) (waybill_worker_slots_busy{{{_POOL}}})", "{{instance}}"),
            unit="none",
            stacked=True,
        ),
        graph(
            "Handed out",
            Query(f"pool:waybill_dispatched_jobs:rate5m{{{_POOL}}}", "jobs"),
            unit="ops",
            runbook="no-dispatcher.md",
        ),
        graph(
            "Wait until the start, p95",
            Query(
                "histogram_quantile(0.95, sum by (capability, le)"
                f" (rate(waybill_job_wait_seconds_bucket{{{_CAPABILITY}}}[{RATE}])))",
                "{{capability}}",
                exemplars=True,
            ),
            unit="s",
            bounds=(10,),
            runbook="jobs-wait.md",
        ),
        graph(
            "Oldest wait",
            Query(f"max by (state) (waybill_queue_oldest_wait_seconds{{{_POOL}}})", "{{state}}"),
            unit="s",
            bounds=(60, 300),
            runbook="jobs-wait.md",
        ),
    )


def _jobs(made: Dashboard) -> None:
    durations = f"rate(waybill_job_attempt_duration_seconds_bucket{{{_CAPABILITY}}}[{RATE}])"
    steps = f"rate(waybill_job_step_duration_seconds_bucket{{{_CAPABILITY}}}[{RATE}])"
    row(
        made,
        "Jobs",
        graph(
            "Attempts by outcome",
            Query(f"sum by (outcome) (capability:waybill_job_attempts:rate5m{{{_CAPABILITY}}})", "{{outcome}}"),
            unit="ops",
            stacked=True,
            runbook="jobs-fail.md",
        ),
        graph(
            "Failed attempts",
            Query(f"capability:waybill_job_attempts_failed:ratio_rate5m{{{_CAPABILITY}}}", "{{capability}}"),
            unit="percentunit",
            bounds=(0.05, 0.2),
            most=1,
            runbook="jobs-fail.md",
        ),
        graph(
            "Attempts that go back to the queue",
            Query(f"capability:waybill_job_attempts_requeued:ratio_rate5m{{{_CAPABILITY}}}", "{{capability}}"),
            unit="percentunit",
            bounds=(0.2, 0.5),
            most=1,
            runbook="model-provider-unavailable.md",
        ),
        graph(
            "Duration of attempts, p95",
            Query(f"histogram_quantile(0.95, sum by (capability, le) ({durations}))", "{{capability}}", exemplars=True),
            unit="s",
        ),
        graph(
            "Duration of steps, p95",
            Query(
                f"topk(10, histogram_quantile(0.95, sum by (capability, step, le) ({steps})))",
                "{{capability}} {{step}}",
                exemplars=True,
            ),
            unit="s",
        ),
        graph(
            "Why attempts end without a result",
            Query(
                f"topk(10, sum by (outcome, reason) (rate(waybill_job_attempts_ended_total{{{_CAPABILITY}}}[{RATE}])))",
                "{{outcome}}: {{reason}}",
            ),
            unit="ops",
            runbook="jobs-fail.md",
        ),
    )


def _losses(made: Dashboard) -> None:
    row(
        made,
        "What is lost and found again",
        graph(
            "Moved on by the dispatcher",
            Query(
                f"sum by (outcome, reason) (rate(waybill_swept_jobs_total{{{_POOL}}}[{RATE}]))",
                "{{outcome}}: {{reason}}",
            ),
            unit="ops",
            about="requeued: worker_lost is a recovery after a lost lease.",
            runbook="poison-job.md",
        ),
        graph(
            "Leases lost",
            Query(f"sum by (capability) (rate(waybill_leases_lost_total{{{_CAPABILITY}}}[{RATE}]))", "{{capability}}"),
            unit="ops",
            runbook="poison-job.md",
        ),
        graph(
            "Messages",
            Query(f"sum(rate(waybill_messages_lost_total{{{_POOL}}}[{RATE}]))", "lost by the broker"),
            Query(f"sum(rate(waybill_duplicate_messages_refused_total{{{_POOL}}}[{RATE}]))", "duplicates refused"),
            unit="ops",
            runbook="redis-unavailable.md",
        ),
        graph(
            "Workers replaced",
            Query(
                f"sum by (cause) (increase(waybill_worker_replacements_total{{{_POOL}}}[{RATE}]))",
                "{{cause}}",
            ),
            unit="none",
            runbook="worker-keeps-restarting.md",
        ),
    )
