"""The size of the tables, and how much of it is dead rows, from Postgres' own statistics."""

from dataclasses import dataclass

from sqlalchemy import text

from core.kit.db import Executor

# Sizes come from the file system and rows are estimates, so nothing is scanned.
_SIZES = text("""
SELECT coalesce(parent.relname, statistics.relname) AS name, count(parent.oid) AS partitions,
  sum(pg_total_relation_size(statistics.relid)) AS size_bytes,
  sum(statistics.n_live_tup) AS live_rows, sum(statistics.n_dead_tup) AS dead_rows
FROM pg_stat_user_tables AS statistics
LEFT JOIN pg_inherits ON pg_inherits.inhrelid = statistics.relid
LEFT JOIN pg_class AS parent ON parent.oid = pg_inherits.inhparent
WHERE statistics.schemaname = current_schema()
GROUP BY 1
""")


@dataclass(frozen=True, slots=True)
class TableSize:
    """A table with its partitions; its size includes indexes and out-of-line storage."""

    name: str
    partitions: int
    size_bytes: int
    live_rows: int
    dead_rows: int


def read_table_sizes(session: Executor) -> list[TableSize]:
    """Every table of the product. Needs no privilege on them."""
    return [
        TableSize(row.name, int(row.partitions), int(row.size_bytes), int(row.live_rows), int(row.dead_rows))
        for row in session.execute(_SIZES, {})
    ]
