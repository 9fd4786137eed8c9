"""Alembic's environment: always online, each migration under a lock timeout so that it never queues behind traffic."""

from alembic import context
from sqlalchemy import Connection, create_engine, event, pool, text

from core.kit.db import STAY_OPEN, normalize_url
from core.tables import metadata

LOCK_TIMEOUT = "4s"
STATEMENT_TIMEOUT = "60s"

# Two `waybill migrate` at once would both try to create the version table; the second one waits here instead.
MIGRATION_LOCK = 7_201_945


def run() -> None:
    """Upgrade or downgrade over the URL given as ``sqlalchemy.url`` in the Alembic configuration."""
    url = normalize_url(context.config.get_main_option("sqlalchemy.url") or "")
    # With a transaction pooler, a session's settings and locks would stay on a connection that others use later.
    options = {"application_name": "waybill-migrate", "prepare_threshold": None}
    engine = create_engine(url, poolclass=pool.NullPool, connect_args=options)
    with engine.connect() as guard, engine.connect() as connection:
        guard.execute(text(STAY_OPEN))
        guard.execute(text(f"SELECT pg_advisory_xact_lock({MIGRATION_LOCK})"))
        event.listen(connection, "begin", _limit)
        context.configure(connection=connection, target_metadata=metadata, transaction_per_migration=True)
        with context.begin_transaction():
            context.run_migrations()
    engine.dispose()


def _limit(connection: Connection) -> None:
    connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'")
    connection.exec_driver_sql(f"SET LOCAL statement_timeout = '{STATEMENT_TIMEOUT}'")


run()
