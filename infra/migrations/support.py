"""Statements that several migrations share: tenant fencing and time partitions."""

from alembic import op


def fence_tenant(table: str, column: str = "organization_id") -> None:
    """Turn on row-level security: ``waybill_app`` sees only the organization named by its transaction.

    ``waybill_system`` gets a separate policy instead of BYPASSRLS, which managed services do not grant.
    """
    op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
    op.execute(
        f"CREATE POLICY tenant ON {table} TO waybill_app"
        f" USING ({column} = (SELECT nullif(current_setting('waybill.organization_id', true), '')::uuid))"
    )
    op.execute(f"CREATE POLICY system ON {table} TO waybill_system USING (true)")
    op.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON {table} TO waybill_app, waybill_system")


def partition_by_month(table: str) -> None:
    """Register a table that is range-partitioned on a UUIDv7 key, and create its partitions.

    The default partition takes rows that no month covers yet, so that a wrong clock never refuses an insert.
    """
    op.execute(f"INSERT INTO partitioned_tables (name) VALUES ('{table}')")
    op.execute(f"CREATE TABLE {table}_default PARTITION OF {table} DEFAULT")
    op.execute("SELECT ensure_partitions(2)")
