"""Backing up and restoring 200,000 jobs with their events, 100,000 audit records and 2,000 blobs of 256 KiB.

``python -m tests.bench backup``. The restore verifies the whole trail and every invariant, as the command does.
"""

import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter

from pydantic import SecretStr
from sqlalchemy import text

from core.audit.sealer import SEALED_MAX, seal_once
from core.kit.blob import open_blob_store
from core.kit.db import Database
from core.kit.ids import new_id
from core.kit.migrate import upgrade
from core.kit.settings import Settings
from core.kit.signing import Signer, generate_seed
from tests.bench.rows import Row
from tests.factories.audit import Trail
from waybill.backup.backup import back_up
from waybill.backup.restore import restore
from waybill.stack.postgres import EmbeddedPostgres

_JOBS, _RECORDS, _BLOBS, _BLOB_BYTES = 200_000, 100_000, 2_000, 256 * 1024
_FILL = """
WITH job AS (
  INSERT INTO jobs (id, organization_id, project_id, capability, pool, state, attempt, started_at, finished_at,
    input, result)
  SELECT uuidv7(make_interval(secs => -n / 1000.0)), :organization, :project, 'probe.act', 'probe', 'succeeded', 1,
    now(), now(), jsonb_build_object('question', repeat(md5(n::text), 8)), jsonb_build_object('said', md5(n::text))
  FROM generate_series(1, :jobs) AS n
  RETURNING id, organization_id
)
INSERT INTO job_events (job_id, id, previous, organization_id, type, attempt, data)
SELECT job.id, event.id, 0, job.organization_id, event.type, 1, '{"attempt": 1}'
FROM job, (VALUES (1, 'job.queued'), (2, 'job.started'), (3, 'job.succeeded')) AS event (id, type)
"""


def run() -> list[Row]:
    """The rows of this benchmark: one round, as a backup is taken once."""
    folder = Path(tempfile.mkdtemp(prefix="waybill-bench-"))
    keys = {"secret_key": SecretStr(secrets.token_urlsafe(32)), "signing_key": SecretStr(generate_seed())}
    try:
        with _installation(folder / "lost", keys) as lost:
            upgrade(_address(lost))
            _fill(lost)
            began = perf_counter()
            made = back_up(lost, folder / "backup", programs=None, allow_missing=False, progress=_silent)
            backing_up = perf_counter() - began
        size = sum(path.stat().st_size for path in (folder / "backup").rglob("*") if path.is_file())
        with _installation(folder / "new", keys) as new:
            began = perf_counter()
            restored = restore(new, folder / "backup", programs=None, progress=_silent)
            restoring = perf_counter() - began
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    assert restored.findings == []
    assert restored.audit_records == _RECORDS
    assert made.blobs.count == _BLOBS
    return [
        Row("backup", round(backing_up, 1), "s"),
        Row("backup_size", round(size / 1024**2), "MiB"),
        Row("restore_and_verify", round(restoring, 1), "s"),
    ]


@contextmanager
def _installation(folder: Path, keys: dict[str, SecretStr]) -> Iterator[Settings]:
    postgres = EmbeddedPostgres(folder / "postgres")
    postgres.start()
    try:
        yield Settings(home=folder, database_url=SecretStr(postgres.url), **keys)  # type: ignore[arg-type]
    finally:
        postgres.stop()


def _fill(settings: Settings) -> None:
    patient = settings.model_copy(update={"database_statement_timeout_seconds": 600})
    database, blobs = Database(patient, application_name="bench", pool_size=2), open_blob_store(settings)
    trail = Trail(database, Signer.from_settings(settings))
    tenant = {"organization": trail.organization_id, "project": trail.project_id}
    try:
        with database.system() as session:
            session.execute(text("INSERT INTO organizations (id, name) VALUES (:organization, 'bench')"), tenant)
            session.execute(text(_FILL), {**tenant, "jobs": _JOBS})
            for _ in range(_BLOBS):
                file_id = new_id()
                stored = blobs.put(f"files/{file_id}", secrets.token_bytes(_BLOB_BYTES), "application/pdf")
                session.execute(
                    text(
                        "INSERT INTO files (id, organization_id, project_id, name, content_type, size_bytes, sha256,"
                        " blob_key) VALUES (:id, :organization, :project, 'x', 'application/pdf', :size, :sha256, :key)"
                    ),
                    {**tenant, "id": file_id, "size": stored.size_bytes, "sha256": stored.sha256, "key": stored.key},
                )
        trail.write_many(_RECORDS)
        while seal_once(database, trail.signer, SEALED_MAX):
            pass
    finally:
        database.close()


def _address(settings: Settings) -> str:
    assert settings.database_url is not None
    return settings.database_url.get_secret_value()


def _silent(_: str) -> None:
    """Progress is not shown."""
