"""Every migration leaves what the release before it needs, or names the release after which that is no longer so."""

import re

import pytest
from alembic.script import Script, ScriptDirectory

from core.kit import migrate
from tests.factories.contracting import contractions, statements_of
from tests.factories.processes import ROOT

# No release came before these.
_FIRST_RELEASE = "0027"
_RELEASED = re.compile(r"^## \[?v?(\d+\.\d+\.\d+)", re.MULTILINE)


def _migrations() -> list[Script]:
    directory = ScriptDirectory(str(ROOT / "infra" / "migrations"))
    return [script for script in directory.walk_revisions() if script.revision > _FIRST_RELEASE]


def test_a_migration_that_contracts_names_the_release_that_no_longer_needs_what_it_takes() -> None:
    released = _RELEASED.findall((ROOT / "CHANGELOG.md").read_text(encoding="utf-8"))
    for script in _migrations():
        found = contractions(statements_of(script.module.upgrade))
        safe_after = getattr(script.module, "safe_after", None)
        assert not found or safe_after is not None, (
            f"{script.path}: {found}. An installation is upgraded while the release before it answers and works. Expand"
            ' now, and contract when no release that needs it runs any more: then say `safe_after = "X.Y.Z"`, the'
            " first release without a use for it (docs/howto/run-on-kubernetes.md#upgrade)"
        )
        assert safe_after is None or safe_after in released, f"{script.path}: {safe_after} was never released"


@pytest.mark.parametrize(
    "sql",
    [
        "ALTER TABLE jobs DROP COLUMN outages",
        "DROP FUNCTION events_restart()",
        "ALTER TABLE jobs RENAME COLUMN outages TO breaks",
        "ALTER TABLE jobs ALTER COLUMN input TYPE json USING input::json",
        "ALTER TABLE jobs ALTER input SET DATA TYPE json",
        "ALTER TABLE jobs ALTER COLUMN worker SET NOT NULL",
        "ALTER TABLE jobs ADD COLUMN a int DEFAULT 0, ADD COLUMN region text NOT NULL",
        "ALTER TABLE jobs ADD region text NOT NULL",
        "ALTER TABLE jobs ADD CONSTRAINT jobs_priority CHECK (priority < 2)",
        "CREATE UNIQUE INDEX jobs_once ON jobs (project_id)",
        "REVOKE DELETE ON jobs FROM waybill_app",
        "DO $$ BEGIN ALTER TABLE jobs DROP COLUMN outages; END $$",
        "CREATE TABLE places (id int); ALTER TABLE jobs DROP COLUMN outages",
    ],
)
def test_what_takes_something_away_is_found(sql: str) -> None:
    assert len(contractions(sql)) == 1


@pytest.mark.parametrize(
    "sql",
    [
        "ALTER TABLE jobs ADD COLUMN outages integer NOT NULL DEFAULT 0, ADD COLUMN region text",
        "ALTER TABLE jobs ALTER COLUMN worker DROP NOT NULL",
        "DROP INDEX jobs_due; CREATE INDEX jobs_due ON jobs (pool)",
        "CREATE TABLE places (id int NOT NULL); CREATE UNIQUE INDEX places_id ON places (id)",
        "CREATE TABLE places (id int NOT NULL); REVOKE DELETE ON places FROM waybill_app",
        "CREATE FUNCTION tidy() RETURNS void LANGUAGE plpgsql AS $$ BEGIN DROP TABLE old; END $$",
        "REVOKE ALL ON FUNCTION waybill_pool_demand FROM PUBLIC",
        "-- DROP TABLE jobs\nSELECT 1",
    ],
)
def test_what_only_adds_is_not(sql: str) -> None:
    assert contractions(sql) == []


def test_every_migration_so_far_can_be_written_out() -> None:
    directory = ScriptDirectory(str(ROOT / "infra" / "migrations"))
    written = {script.revision: statements_of(script.module.upgrade) for script in directory.walk_revisions()}
    assert written.keys() >= {"0001", migrate.newest_revision()}
    assert all(written.values())
    assert contractions(written["0021"]), "0021 changes types"
