"""What the platform itself needs: connections, tables, the audit trail's sealer, periodic tasks, log lines."""

from core.kit.metrics.families import EVERY, JOB_SECONDS, WAIT_SECONDS, counter, gauge, histogram

DATABASE_CONNECTIONS_MAX = gauge(
    "waybill_database_connections_max",
    "Maximum number of connections of this process to Postgres.",
    by=("api", "dispatcher", "deliverer", "worker"),
    mode="livesum",
)
DATABASE_CONNECTIONS_BUSY = gauge(
    "waybill_database_connections_busy",
    "Connections to Postgres in use now.",
    by=("api", "dispatcher", "deliverer", "worker"),
    mode="livesum",
)
DATABASE_WAIT = histogram(
    "waybill_database_wait_seconds",
    "Time that work waited for a connection to Postgres, served or timed_out, without work that found a free one.",
    ("outcome",),
    by=("api", "dispatcher", "deliverer", "worker"),
    buckets=WAIT_SECONDS,
)
TABLE_BYTES = gauge(
    "waybill_table_size_bytes",
    "Size of a table, including partitions, indexes and TOAST values.",
    ("table",),
    by=("dispatcher",),
    mode="mostrecent",
)
TABLE_ROWS = gauge(
    "waybill_table_rows",
    "Rows of a table and its partitions, live or dead, as estimated by Postgres.",
    ("table", "state"),
    by=("dispatcher",),
    mode="mostrecent",
)
TABLE_PARTITIONS = gauge(
    "waybill_table_partitions", "Partitions of a table.", ("table",), by=("dispatcher",), mode="mostrecent"
)
AUDIT_INBOX = gauge(
    "waybill_audit_inbox", "Audit records that wait for their seal.", by=("dispatcher",), mode="mostrecent"
)
AUDIT_OLDEST_UNSEALED = gauge(
    "waybill_audit_oldest_unsealed_seconds",
    "Age of the oldest unsealed audit record; 0 if all are sealed.",
    by=("dispatcher",),
    mode="mostrecent",
)
STATISTICS_READ = gauge(
    "waybill_statistics_timestamp_seconds",
    "When this dispatcher last read its statistics from Postgres, in Unix time; 0 on a standby.",
    by=("dispatcher",),
    mode="mostrecent",
)
TASK_DURATION = histogram(
    "waybill_periodic_task_duration_seconds",
    "Duration of the dispatcher's periodic tasks, by outcome: succeeded, failed or postgres_unavailable.",
    ("task", "outcome"),
    by=("dispatcher",),
    buckets=JOB_SECONDS,
)
LOG_LINES = counter("waybill_log_lines", "Lines logged, by level, suppressed repeats left out.", ("level",), by=EVERY)
LOG_LINES_SUPPRESSED = counter(
    "waybill_log_lines_suppressed", "Repeats that were counted instead of written.", by=EVERY
)
LOG_EXPORT_DROPPED = counter(
    "waybill_log_export_dropped",
    "Log records that were not exported over OTLP, because the queue was full or the collector did not take them; they"
    " are on standard error.",
    by=EVERY,
)
