"""The migrations build what the models declare, can be undone, and are safe to run twice at once."""

import subprocess
import sys
from collections.abc import Iterator
from difflib import unified_diff
from typing import Any

import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine

from core.kit.db import normalize_url
from core.kit.migrate import downgrade, newest_revision, upgrade
from core.knowledge.models import HalfVector, SparseVector
from core.tables import metadata
from tests.factories.processes import ROOT
from tests.factories.services import direct, drop_database, new_database
from tests.migrations.snapshot import FROZEN, SCHEMA, digests, schema_of


@pytest.fixture
def scratch_url(postgres_url: str) -> Iterator[str]:
    url = new_database(postgres_url)
    yield url
    drop_database(postgres_url, url)


def _ours(item: Any, name: str | None, kind: str, reflected: bool, _compared: Any) -> bool:
    """Partitions, and tables only SQL uses, have no model."""
    if kind == "table" and reflected:
        return not (name or "").startswith(PARTITION_PREFIXES) and name not in {"partitioned_tables", "alembic_version"}
    return True


PARTITION_PREFIXES = tuple(
    f"{table}_{suffix}"
    for table in (
        "jobs",
        "job_events",
        "job_checkpoints",
        "job_checkpoint_writes",
        "job_questions",
        "job_children",
        "job_effects",
        "ledger_entries",
        "audit_records",
        "webhook_deliveries",
        "webhook_attempts",
        "job_rollups",
        "call_rollups",
        "job_cost_rollups",
        "quality_signals",
        "quality_inputs",
    )
    for suffix in ("default", "20")
)


def test_models_and_migrations_agree(scratch_url: str) -> None:
    engine = create_engine(normalize_url(scratch_url))
    # SQLAlchemy reads pgvector's type by name only if it is told what the name means.
    engine.dialect.ischema_names["halfvec"] = HalfVector  # type: ignore[attr-defined]
    engine.dialect.ischema_names["sparsevec"] = SparseVector  # type: ignore[attr-defined]
    with engine.connect() as connection:
        context = MigrationContext.configure(
            connection, opts={"include_object": _ours, "compare_type": True, "compare_server_default": False}
        )
        differences = compare_metadata(context, metadata)
    engine.dispose()
    assert differences == []


def test_what_models_check_is_what_the_database_checks(scratch_url: str) -> None:
    """The declared tables are made in a schema of their own, so that Postgres writes both conditions in one form."""
    engine = create_engine(normalize_url(scratch_url))
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE SCHEMA declared")
        connection.exec_driver_sql("SET LOCAL search_path = declared, public")
        metadata.create_all(connection, checkfirst=False)
        rows = connection.exec_driver_sql(
            "SELECT nspname, relname, conname, pg_get_constraintdef(k.oid)"
            " FROM pg_constraint k JOIN pg_class c ON c.oid = conrelid JOIN pg_namespace n ON n.oid = relnamespace"
            " WHERE contype = 'c' AND nspname IN ('public', 'declared') AND NOT relispartition"
        ).fetchall()
    engine.dispose()
    by_schema: dict[str, set[tuple[str, ...]]] = {"public": set(), "declared": set()}
    for schema, *constraint in rows:
        by_schema[schema].add(tuple(constraint))
    assert by_schema["declared"]
    assert by_schema["declared"] - by_schema["public"] == set()


def test_the_schema_is_the_one_that_was_reviewed(scratch_url: str) -> None:
    """Constraints, triggers, functions, policies and grants, which the comparison with the models does not see."""
    found, reviewed = schema_of(direct(scratch_url)).splitlines(), SCHEMA.read_text(encoding="utf-8").splitlines()
    changed = "\n".join(unified_diff(reviewed, found, "reviewed", "built by the migrations", lineterm="", n=2))
    assert not changed, f"{changed}\nif this is meant: python -m tests.migrations.snapshot"


@pytest.mark.parametrize(
    "change",
    [
        "ALTER TABLE prices DROP CONSTRAINT prices_usd_per_unit,"  # noqa: ISC004 - one statement
        " ADD CONSTRAINT prices_usd_per_unit CHECK (usd_per_unit >= -1)",
        "ALTER POLICY tenant ON jobs USING (true)",
        "GRANT DELETE ON ledger_entries TO waybill_app",
        "ALTER TABLE audit_records DISABLE TRIGGER ALL",
        "CREATE OR REPLACE FUNCTION audit_immutable() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$",
    ],
    ids=["check", "policy", "grant", "trigger", "function"],
)
def test_a_schema_that_differs_is_found(scratch_url: str, change: str) -> None:
    with psycopg.connect(direct(scratch_url)) as connection:
        connection.execute(change.encode())
    assert schema_of(direct(scratch_url)) != SCHEMA.read_text(encoding="utf-8")


def test_a_migration_that_was_reviewed_stays_as_it_is() -> None:
    """Installations have run it, so a change would reach the new ones only."""
    changed = set(FROZEN.read_text(encoding="utf-8").splitlines()) ^ set(digests().splitlines())
    files = sorted({line.split()[1] for line in changed})
    assert not files, f"changed: {', '.join(files)}; one that no release holds yet: python -m tests.migrations.snapshot"


def test_every_tenant_table_is_fenced(scratch_url: str) -> None:
    with psycopg.connect(scratch_url) as connection:
        open_tables = connection.execute(
            "SELECT c.relname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid"
            " WHERE a.attname = 'organization_id' AND c.relkind IN ('r', 'p') AND NOT c.relispartition"
            " AND NOT c.relrowsecurity"
        ).fetchall()
        reachable_partitions = connection.execute(
            "SELECT relname FROM pg_class WHERE relispartition AND relkind = 'r'"
            " AND has_table_privilege('waybill_app', oid, 'SELECT')"
        ).fetchall()
    assert open_tables == []
    assert reachable_partitions == []


def test_down_to_nothing_and_up_again(scratch_url: str) -> None:
    downgrade(scratch_url, "base")
    with psycopg.connect(scratch_url) as connection:
        left = connection.execute(
            "SELECT relname FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace"
            " WHERE nspname = 'public' AND relkind IN ('r', 'p') AND relname <> 'alembic_version'"
        ).fetchall()
    assert left == []
    upgrade(scratch_url)


def test_migrations_started_at_once_wait_for_each_other(scratch_url: str) -> None:
    downgrade(scratch_url, "base")
    command = [sys.executable, "-c", f"from core.kit.migrate import upgrade; upgrade({scratch_url!r})"]
    together = [subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE) for _ in range(3)]
    complaints = [process.communicate(timeout=60)[1].decode()[-800:] for process in together]
    assert [process.returncode for process in together] == [0, 0, 0], complaints
    with psycopg.connect(scratch_url) as connection:
        assert connection.execute("SELECT count(*) FROM alembic_version").fetchone() == (1,)


def test_a_release_leaves_a_newer_releases_schema_as_it_is(scratch_url: str) -> None:
    # As after a rollback: the migrations of the release before run again with its next upgrade.
    with psycopg.connect(scratch_url, autocommit=True) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9001'")
        upgrade(scratch_url)
        assert connection.execute("SELECT version_num FROM alembic_version").fetchone() == ("9001",)
        connection.execute("UPDATE alembic_version SET version_num = %s", [newest_revision()])
