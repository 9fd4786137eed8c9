"""Restores a backup into an empty installation, and prepares it for its processes."""

from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import text
from sqlalchemy.engine import URL

from core.audit.actions import AuditAction
from core.audit.record import Actor, record
from core.audit.verification import verify_all
from core.jobs import restoration
from core.kit.blob import BlobStore, open_blob_store
from core.kit.db import Database, normalize_url
from core.kit.ids import ORGANIZATION, encode
from core.kit.migrate import newest_revision, upgrade
from core.kit.settings import Settings
from core.kit.signing import Keyring
from core.ledger.invariants import check_invariants
from waybill.backup import contents, keys, manifest, snapshot, target
from waybill.backup.snapshot import Progress
from waybill.cli.exits import Exit
from waybill.cli.failures import CliError

# More transactions than the lost installation can have made after the backup: cursors of project streams name them.
_TRANSACTIONS_SKIPPED = 2**40
_PATIENT_SECONDS = 24 * 3600.0
_REPORT_EVERY = 500


@dataclass(slots=True)
class Restored:
    """What was restored, and `findings`: what does not hold. `missing_blobs` were missing when the backup was taken."""

    manifest: manifest.Manifest
    jobs_requeued: int = 0
    jobs_waiting: int = 0
    audit_records: int = 0
    findings: list[str] = field(default_factory=list)


def restore(settings: Settings, source: Path, *, programs: Path | None, progress: Progress) -> Restored:
    """Restore the backup at `source` into what the settings name. Raises `CliError`.

    Writes nothing until the backup is fully read, its keys are available and the target is known to be empty.
    """
    assert settings.database_url is not None
    address = settings.database_url.get_secret_value()
    url, blobs = normalize_url(address), open_blob_store(settings)
    found = manifest.read(source)
    if found.schema_revision > newest_revision():
        raise CliError(
            f"the backup has the schema {found.schema_revision}, and this release knows {newest_revision()}",
            remedy=f"restore with release {found.release} or a newer one",
            code="schema_unknown",
            exit_code=Exit.REFUSED,
        )
    keys.require(found, settings)
    target.require_empty(settings, url, blobs)
    _check(source, found, progress)
    _write(url, blobs, source, programs, progress)
    restored = Restored(found)
    with snapshot.connect(url) as connection:
        if (rows := snapshot.count_rows(connection)) != found.rows:
            differing = sorted(name for name in rows.keys() | found.rows if rows.get(name) != found.rows.get(name))
            restored.findings.append(f"row counts differ from the backup: {', '.join(differing)}")
    upgrade(address)
    with snapshot.connect(url) as connection:
        connection.execute("SELECT events_restart(%s)", (_TRANSACTIONS_SKIPPED,))
    patient = settings.model_copy(update={"database_statement_timeout_seconds": _PATIENT_SECONDS})
    database = Database(patient, application_name="waybill-restore", pool_size=1)
    try:
        _resume(database, restored, manifest.digest_of(source / manifest.MANIFEST))
        _verify(database, blobs, Keyring.from_settings(settings), restored)
    finally:
        database.close()
    return restored


def _check(source: Path, found: manifest.Manifest, progress: Progress) -> None:
    for name, part in found.parts.items():
        if not (source / name).is_file() or manifest.digest_of(source / name) != part:
            raise manifest.damaged(name)
    for count, _ in enumerate(contents.check(source), start=1):
        if count % _REPORT_EVERY == 0:
            progress(f"checking blobs: {count} of {found.blobs.count}")
    progress(f"the backup is whole: Postgres and {found.blobs.count} blobs")


def _write(url: URL, blobs: BlobStore, source: Path, programs: Path | None, progress: Progress) -> None:
    """Blobs first, so that no row lacks its blob; removed again if the database cannot be restored."""
    try:
        for count, _ in enumerate(contents.put(blobs, source), start=1):
            if count % _REPORT_EVERY == 0:
                progress(f"restoring blobs: {count}")
        progress("restoring Postgres")
        target.restore_database(url, source, programs)
    except BaseException:
        progress("removing what was written")
        for line in manifest.read_index(source):
            blobs.delete(line.key)
        raise


def _resume(database: Database, restored: Restored, origin: manifest.Part) -> None:
    found = restored.manifest
    with database.system() as session:
        restored.jobs_requeued, restored.jobs_waiting = restoration.requeue(session)
        for organization_id in session.execute(text("SELECT id FROM organizations ORDER BY id")).scalars():
            record(
                session,
                organization_id,
                None,
                AuditAction.RESTORE,
                subject_id=encode(ORGANIZATION, organization_id),
                actor=Actor("system"),
                payload_digest=bytes.fromhex(origin.sha256),
                detail={"taken_at": found.taken_at.isoformat(), "release": found.release},
            )


def _verify(database: Database, blobs: BlobStore, keyring: Keyring, restored: Restored) -> None:
    for report in verify_all(database, blobs, keyring):
        restored.audit_records += report.records
        restored.findings += [
            f"audit trail of {encode(ORGANIZATION, report.organization_id)}: {finding.kind}: {finding.message}"
            for finding in report.findings
        ]
    with database.system() as session:
        restored.findings += [
            f"{each.invariant}: {each.subject} should have {each.expected}, has {each.found}"
            for each in check_invariants(session)
        ]
