"""What the platform itself needs: connections, tables, the audit trail's sealer, periodic tasks, log lines."""

from core.kit.metrics.families import EVERY, JOB_SECONDS, WAIT_SECONDS, counter, gauge, histogram

DATABASE_CONNECTIONS_MAX = gauge(
    "waybill_database_connections_max",
    "Connections to Postgres that this process may have at once.",
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
    "How long work waited for a connection to Postgres, served or timed_out; what found one free is left out.",
    ("outcome",),
    by=("api", "dispatcher", "deliverer", "worker"),
    buckets=WAIT_SECONDS,
)
TABLE_BYTES = gauge(
    "waybill_table_size_bytes",
    "Size of a table, its partitions, indexes and long values included.",
    ("table",),
    by=("dispatcher",),
    mode="mostrecent",
)
TABLE_ROWS = gauge(
    "waybill_table_rows",
    "Rows of a table and its partitions as Postgres estimates them, by whether they are live or dead.",
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
    "Age of the oldest audit record without a seal; 0 when all are sealed.",
    by=("dispatcher",),
    mode="mostrecent",
)
STATISTICS_READ = gauge(
    "waybill_statistics_timestamp_seconds",
    "When this dispatcher last read what it reports of Postgres, in Unix time; 0 where it stands by.",
    by=("dispatcher",),
    mode="mostrecent",
)
TASK_DURATION = histogram(
    "waybill_periodic_task_duration_seconds",
    "How long the dispatcher's periodic tasks took, by how they ended: succeeded, failed or postgres_unavailable.",
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
