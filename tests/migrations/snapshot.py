"""What the migrations build, as text, and the digests of the migrations themselves.

    python -m tests.migrations.snapshot

writes both beside the migrations, for a change in which a reviewer sees every table, constraint, function, policy and
grant that it adds, and for the tests that find one nobody meant.
"""

import hashlib
import re
import subprocess
import tempfile
from pathlib import Path

from sqlalchemy import make_url

from core.kit.migrate import upgrade
from tests.factories.processes import ROOT
from waybill.backup import programs
from waybill.stack.postgres import EmbeddedPostgres

MIGRATIONS = ROOT / "infra" / "migrations"
SCHEMA = MIGRATIONS / "schema.sql"
FROZEN = MIGRATIONS / "frozen.sha256"
_POSTGRES_18 = 180_000
# Every partition is like its table, and which there are depends on the day.
_PARTITIONS = (r"*_20[0-9][0-9][0-9][0-9]*", "*_default")
# Comments name versions and owners; the settings are those of the restoring session; the keys are random.
_UNSTABLE = re.compile(r"^(?:--.*|SET .*|SELECT pg_catalog\.set_config.*|\\(?:un)?restrict .*)\n", re.MULTILINE)
_BLANK = re.compile(r"\n{3,}")


def schema_of(database_url: str) -> str:
    """The database's schema with grants, policies and comments, without owners and partitions."""
    url = make_url(database_url)
    command = [
        str(programs.find("pg_dump", _POSTGRES_18, None)),
        *("--schema-only", "--no-owner", "--no-password"),
        *(f"--exclude-table={pattern}" for pattern in _PARTITIONS),
        f"--dbname={programs.address(url)}",
    ]
    dumped = subprocess.run(
        command, env=programs.environment(url), check=True, capture_output=True, encoding="utf-8"
    ).stdout
    return _BLANK.sub("\n\n", _UNSTABLE.sub("", f"{dumped}\n")).strip() + "\n"


def digests() -> str:
    """Every migration and the SQL that it runs, in the format of ``sha256sum``."""
    files = [*sorted(MIGRATIONS.glob("versions/[0-9]*.py")), *sorted(MIGRATIONS.glob("sql/*.sql"))]
    lines = (f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file.relative_to(MIGRATIONS)}" for file in files)
    return "\n".join(lines) + "\n"


def _write() -> None:
    with tempfile.TemporaryDirectory() as folder:
        server = EmbeddedPostgres(Path(folder) / "postgres")
        server.start()
        try:
            upgrade(server.url)
            SCHEMA.write_text(schema_of(server.url), encoding="utf-8")
        finally:
            server.stop()
    FROZEN.write_text(digests(), encoding="utf-8")


if __name__ == "__main__":
    _write()
