"""How Alembic runs here: always online, each migration under a lock timeout so that it never queues behind traffic."""

from alembic import context
from sqlalchemy import create_engine, pool, text

from core.kit.db import normalize_url
from core.tables import metadata

LOCK_TIMEOUT = "4s"
STATEMENT_TIMEOUT = "60s"

# Two `waybill migrate` at once would both try to create the version table; the second waits here instead.
MIGRATION_LOCK = 7_201_945


def run() -> None:
    """Upgrade or downgrade over the URL given as ``sqlalchemy.url`` in the Alembic configuration."""
    url = normalize_url(context.config.get_main_option("sqlalchemy.url") or "")
    engine = create_engine(url, poolclass=pool.NullPool, connect_args={"application_name": "waybill-migrate"})
    with engine.connect() as connection:
        connection.execute(text(f"SELECT pg_advisory_lock({MIGRATION_LOCK})"))
        connection.execute(text(f"SET lock_timeout = '{LOCK_TIMEOUT}'"))
        connection.execute(text(f"SET statement_timeout = '{STATEMENT_TIMEOUT}'"))
        connection.commit()
        context.configure(connection=connection, target_metadata=metadata, transaction_per_migration=True)
        with context.begin_transaction():
            context.run_migrations()
    engine.dispose()


run()
