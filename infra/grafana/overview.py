"""*Overview*: is the installation healthy, and if not, where to look."""

from grafana_foundation_sdk.builders.dashboard import Dashboard

from infra.grafana.panels import RATE, Query, bars, board, graph, number, row, values


def build() -> Dashboard:
    """The dashboard."""
    made = board("overview", "Overview", "What an operator looks at first: alerts, requests, jobs, queues, deliveries.")
    _now(made)
    _requests(made)
    _jobs(made)
    _deliveries(made)
    _platform(made)
    return made


def _now(made: Dashboard) -> None:
    row(
        made,
        "Now",
        number(
            "Alerts firing",
            'count(ALERTS{alertname=~"Waybill.*", alertstate="firing"}) or vector(0)',
            unit="none",
            bounds=(1,),
            runbook="README.md",
        ),
        number(
            "Processes down",
            'count(up{job="waybill"} == 0) or vector(0)',
            unit="none",
            bounds=(1,),
            runbook="process-down.md",
        ),
        number(
            "Jobs queued",
            'sum(max by (pool) (waybill_queue_depth{state="queued"})) or vector(0)',
            unit="none",
            runbook="jobs-wait.md",
        ),
        number(
            "Oldest wait",
            'max(waybill_queue_oldest_wait_seconds{state="queued"}) or vector(0)',
            unit="s",
            bounds=(60, 300),
            runbook="jobs-wait.md",
        ),
        number("Jobs running", 'sum(max by (pool) (waybill_queue_depth{state="running"})) or vector(0)', unit="none"),
        number(
            "Spent in the last hour",
            "sum(increase(waybill_spend_usd_total[1h]))",
            unit="currencyUSD",
            runbook="budget-storm.md",
        ),
    )
    row(
        made,
        "Alerts and objectives",
        values(
            "Alerts",
            Query('ALERTS{alertname=~"Waybill.*", alertstate="firing"}'),
            unit="none",
            about="Their runbooks are in the index.",
            runbook="README.md",
            width=12,
        ),
        graph(
            "Bad share of each objective, one hour",
            Query("waybill_slo:bad:ratio_1h", "{{slo}}"),
            unit="percentunit",
            about="See the dashboard Objectives.",
            width=12,
        ),
    )


def _requests(made: Dashboard) -> None:
    buckets = f"rate(waybill_http_request_duration_seconds_bucket[{RATE}])"
    row(
        made,
        "Requests",
        graph(
            "Requests by status",
            Query(f"sum by (status) (rate(waybill_http_requests_total[{RATE}]))", "{{status}}"),
            unit="reqps",
            stacked=True,
            runbook="requests-fail.md",
        ),
        graph(
            "Time to answer",
            Query(f"histogram_quantile(0.5, sum by (le) ({buckets}))", "p50", exemplars=True),
            Query(f"histogram_quantile(0.95, sum by (le) ({buckets}))", "p95", exemplars=True),
            Query(f"histogram_quantile(0.99, sum by (le) ({buckets}))", "p99", exemplars=True),
            unit="s",
            about="Streams are left out. Points lead to traces.",
            runbook="slow-queries.md",
        ),
        bars(
            "Slowest routes, p95",
            Query(
                "topk(8, route:waybill_http_request_duration_seconds:p95_rate5m > 0)",
                "{{method}} {{route}}",
            ),
            unit="s",
            runbook="slow-queries.md",
        ),
    )


def _jobs(made: Dashboard) -> None:
    waits = f"rate(waybill_job_wait_seconds_bucket[{RATE}])"
    row(
        made,
        "Jobs",
        graph(
            "Submitted",
            Query(f"sum by (capability) (rate(waybill_jobs_submitted_total[{RATE}]))", "{{capability}}"),
            unit="ops",
            stacked=True,
            about="Child jobs are left out.",
        ),
        graph(
            "Attempts by outcome",
            Query("sum by (outcome) (capability:waybill_job_attempts:rate5m)", "{{outcome}}"),
            unit="ops",
            stacked=True,
            runbook="jobs-fail.md",
        ),
        graph(
            "Failed attempts",
            Query("capability:waybill_job_attempts_failed:ratio_rate5m", "{{capability}}"),
            unit="percentunit",
            bounds=(0.05, 0.2),
            runbook="jobs-fail.md",
            most=1,
        ),
        graph(
            "Wait until the start",
            Query(f"histogram_quantile(0.5, sum by (le) ({waits}))", "p50", exemplars=True),
            Query(f"histogram_quantile(0.95, sum by (le) ({waits}))", "p95", exemplars=True),
            unit="s",
            runbook="jobs-wait.md",
            bounds=(10,),
        ),
        graph(
            "Duration of attempts, p95",
            Query("capability:waybill_job_attempt_duration_seconds:p95_rate5m", "{{capability}}"),
            unit="s",
        ),
        graph(
            "Why attempts end without a result",
            Query(
                f"topk(10, sum by (outcome, reason) (rate(waybill_job_attempts_ended_total[{RATE}])))",
                "{{outcome}}: {{reason}}",
            ),
            unit="ops",
            runbook="jobs-fail.md",
        ),
        graph(
            "Queued by pool",
            Query('max by (pool) (waybill_queue_depth{state="queued"})', "{{pool}}"),
            unit="none",
            stacked=True,
            runbook="jobs-wait.md",
        ),
        graph(
            "Oldest wait by pool",
            Query('max by (pool) (waybill_queue_oldest_wait_seconds{state="queued"})', "{{pool}}"),
            unit="s",
            bounds=(60, 300),
            runbook="jobs-wait.md",
        ),
        graph(
            "Busy slots by pool",
            Query("pool:waybill_pool_slots_busy:ratio", "{{pool}}"),
            unit="percentunit",
            bounds=(0.9,),
            runbook="jobs-wait.md",
        ),
    )


def _deliveries(made: Dashboard) -> None:
    lags = f"rate(waybill_stream_lag_seconds_bucket[{RATE}])"
    attempts = f"rate(waybill_webhook_attempt_duration_seconds_bucket[{RATE}])"
    tools = f"rate(waybill_tool_call_duration_seconds_bucket[{RATE}])"
    row(
        made,
        "Streams, webhooks, tools and the guard",
        graph(
            "Event streams",
            Query("sum(waybill_sse_streams_open)", "open"),
            unit="none",
            runbook="streams-not-delivered.md",
        ),
        graph(
            "Lag of live events",
            Query(f"histogram_quantile(0.5, sum by (le) ({lags}))", "p50"),
            Query(f"histogram_quantile(0.99, sum by (le) ({lags}))", "p99"),
            unit="s",
            bounds=(1,),
            runbook="streams-not-delivered.md",
        ),
        graph(
            "Live events lost",
            Query(f"sum(rate(waybill_live_publish_failures_total[{RATE}]))", "not published"),
            unit="ops",
            bounds=(1,),
            runbook="redis-unavailable.md",
        ),
        graph(
            "Webhook attempts",
            Query(f"sum by (outcome) (rate(waybill_webhook_attempts_total[{RATE}]))", "{{outcome}}"),
            unit="ops",
            stacked=True,
            runbook="webhooks-fail.md",
        ),
        graph(
            "Webhook attempts, p95",
            Query(f"histogram_quantile(0.95, sum by (outcome, le) ({attempts}))", "{{outcome}}", exemplars=True),
            unit="s",
            runbook="webhooks-fail.md",
        ),
        graph(
            "Webhooks due",
            Query("max by (state) (waybill_webhook_backlog)", "{{state}}"),
            unit="none",
            about="later: under way, or waiting for the next try.",
            runbook="webhooks-fail.md",
        ),
        graph(
            "Tool calls",
            Query(f"sum by (server, outcome) (rate(waybill_tool_calls_total[{RATE}]))", "{{server}}: {{outcome}}"),
            unit="ops",
            stacked=True,
        ),
        graph(
            "Tool calls, p95",
            Query(f"histogram_quantile(0.95, sum by (server, le) ({tools}))", "{{server}}", exemplars=True),
            unit="s",
        ),
        graph(
            "Guard verdicts",
            Query(f"sum by (verdict) (rate(waybill_guard_verdicts_total[{RATE}]))", "{{verdict}}"),
            unit="ops",
            stacked=True,
            runbook="guard-unavailable.md",
        ),
    )


def _platform(made: Dashboard) -> None:
    busy = "sum by (process) (waybill_database_connections_busy)"
    waits = f"rate(waybill_database_wait_seconds_bucket[{RATE}])"
    row(
        made,
        "Postgres and the platform itself",
        graph(
            "Connections in use",
            Query(f"{busy} / (sum by (process) (waybill_database_connections_max) > 0)", "{{process}}"),
            unit="percentunit",
            bounds=(0.9,),
            most=1,
            runbook="postgres-connections.md",
        ),
        graph(
            "Wait for a connection, p95",
            Query(f"histogram_quantile(0.95, sum by (process, le) ({waits}))", "{{process}}"),
            unit="s",
            about="Only work that found none free.",
            runbook="postgres-connections.md",
        ),
        graph(
            "Largest tables",
            Query("topk(8, max by (table) (waybill_table_size_bytes))", "{{table}}"),
            unit="bytes",
            runbook="postgres-disk-full.md",
        ),
        graph(
            "Dead rows",
            Query(
                'max by (table) (waybill_table_rows{state="dead"}) > 1000',
                "{{table}}",
            ),
            unit="short",
            about="Tables with more than a thousand.",
            runbook="slow-queries.md",
        ),
        graph(
            "Audit records without a seal",
            Query("max(waybill_audit_oldest_unsealed_seconds)", "age of the oldest"),
            unit="s",
            bounds=(120,),
            runbook="audit-gap.md",
        ),
        graph(
            "Periodic tasks that fail",
            Query(
                "sum by (task, outcome)"
                f' (rate(waybill_periodic_task_duration_seconds_count{{outcome!="succeeded"}}[{RATE}]))',
                "{{task}}: {{outcome}}",
            ),
            unit="ops",
        ),
        graph(
            "Log lines",
            Query(
                f'sum by (level) (rate(waybill_log_lines_total{{level=~"warning|error|critical"}}[{RATE}]))',
                "{{level}}",
            ),
            unit="ops",
            stacked=True,
        ),
        graph(
            "Workers replaced",
            Query(f"sum by (pool, cause) (increase(waybill_worker_replacements_total[{RATE}]))", "{{pool}}: {{cause}}"),
            unit="none",
            runbook="worker-keeps-restarting.md",
        ),
        graph(
            "Recoveries after lost leases",
            Query(
                f'sum by (pool, outcome) (rate(waybill_swept_jobs_total{{reason="worker_lost"}}[{RATE}]))',
                "{{pool}}: {{outcome}}",
            ),
            unit="ops",
            runbook="poison-job.md",
        ),
    )
