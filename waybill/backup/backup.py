"""Takes a backup: a snapshot of Postgres, then the blobs its rows refer to, then the manifest."""

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from time import sleep

from sqlalchemy.engine import URL

from core.kit.blob import open_blob_store
from core.kit.db import normalize_url
from core.kit.settings import Settings
from waybill.backup import contents, keys, manifest, snapshot
from waybill.backup.references import Reference, referenced, still_named
from waybill.backup.snapshot import Progress
from waybill.cli.exits import Exit
from waybill.cli.failures import CliError

_REPORT_EVERY = 500
_SHOWN_MAX = 5
_LOOKS = 5


def back_up(
    settings: Settings,
    destination: Path,
    *,
    programs: Path | None,
    allow_missing: bool,
    progress: Progress,
    pause_seconds: float = 2.0,
) -> manifest.Manifest:
    """Take a backup into the new folder `destination`, which exists only once it is complete. Raises `CliError`.

    `programs` may name the folder of pg_dump. A blob that a row refers to and the store lacks is a failure unless
    `allow_missing`. The rows are checked several times, `pause_seconds` apart, because retention deletes a blob just
    before its row.
    """
    assert settings.database_url is not None
    url = normalize_url(settings.database_url.get_secret_value())
    blobs = open_blob_store(settings)
    with _refusing_what_the_system_refuses(), _unfinished(destination) as folder:
        with snapshot.take(url) as moment, tempfile.TemporaryFile("w+", encoding="utf-8") as spool:
            revision = moment.require_readable()
            secret_keys = keys.secret_keys(moment.connection, settings)
            pseudonym_keys = keys.pseudonym_keys(moment.connection, settings)
            signing_keys = keys.signing_keys(moment.connection)
            progress(f"snapshot of {moment.taken_at:%Y-%m-%d %H:%M:%S %Z}, schema {revision}")
            rows = snapshot.count_rows(moment.connection)
            dump = moment.dump(folder / manifest.DUMP, programs, progress)
            # Read while the snapshot lasts; copying may take much longer, and a snapshot keeps Postgres from cleaning.
            for reference in referenced(moment.connection, blobs):
                spool.write(json.dumps(asdict(reference)) + "\n")
            server_version, taken_at = moment.server_version, moment.taken_at
            moment.connection.rollback()
            spool.seek(0)
            wanted = (Reference(**json.loads(line)) for line in spool)
            found, gone = _copy(contents.fetch(blobs, wanted, folder), folder, progress)
        missing = _lost(url, gone, pause_seconds)
        if missing and not allow_missing:
            raise _missing(missing)
        made = manifest.Manifest(
            format=manifest.FORMAT,
            release=version("waybill"),
            schema_revision=revision,
            taken_at=taken_at,
            postgres=server_version,
            rows=rows,
            blobs=found.model_copy(
                update={"missing": missing, "removed_meanwhile": len(gone) - len(missing)},
            ),
            secret_keys=secret_keys,
            pseudonym_keys=pseudonym_keys,
            signing_keys=signing_keys,
            parts={manifest.DUMP: dump, manifest.INDEX: manifest.digest_of(folder / manifest.INDEX)},
        )
        manifest.write(folder, made)
    return made


@contextmanager
def _refusing_what_the_system_refuses() -> Iterator[None]:
    """A full or protected disk is not a bug: `CliError` with the system's message."""
    try:
        yield
    except (ConnectionError, TimeoutError):
        raise
    except OSError as error:
        where = f": {error.filename}" if error.filename else ""
        raise CliError(
            f"{error.strerror}{where}. No backup was made",
            remedy="free some space, or give this user write permission",
            code="backup_not_written",
            exit_code=Exit.FAILED,
        ) from error


@contextmanager
def _unfinished(destination: Path) -> Iterator[Path]:
    """A folder next to `destination` that is renamed to it at the end, or removed on failure."""
    parent = destination.absolute().parent
    if destination.exists() or destination.is_symlink():
        raise CliError(
            f"{destination} already exists",
            remedy="use a new folder for each backup",
            code="destination_exists",
            exit_code=Exit.USAGE,
        )
    parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(dir=parent, prefix=f".{destination.name}.unfinished-"))
    try:
        yield folder
        for place, _, _ in os.walk(folder):
            manifest.flush_folder(Path(place))
        folder.rename(destination)
        manifest.flush_folder(parent)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def _copy(
    copies: Iterator[contents.Copied], folder: Path, progress: Progress
) -> tuple[manifest.Blobs, list[Reference]]:
    count = size = 0
    gone: list[Reference] = []
    with (folder / manifest.INDEX).open("x", encoding="utf-8") as index:
        for copied in copies:
            if copied.line is None:
                if copied.reference.column:
                    gone.append(copied.reference)
                continue
            index.write(copied.line.model_dump_json() + "\n")
            count, size = count + 1, size + copied.line.size_bytes
            if count % _REPORT_EVERY == 0:
                progress(f"blobs: {count}")
        index.flush()
        os.fsync(index.fileno())
    progress(f"blobs: {count}, done")
    return manifest.Blobs(count=count, size_bytes=size, removed_meanwhile=0, missing=[]), gone


def _lost(url: URL, gone: list[Reference], pause_seconds: float) -> list[str]:
    """The keys of blobs that rows refer to but the store lacks."""
    named = gone
    for look in range(_LOOKS if gone else 0):
        if look:
            sleep(pause_seconds)
        with snapshot.connect(url) as connection:
            named = still_named(connection, named)
        if not named:
            break
    return sorted(each.key for each in named)


def _missing(keys_: list[str]) -> CliError:
    shown = ", ".join(keys_[:_SHOWN_MAX]) + (" …" if len(keys_) > _SHOWN_MAX else "")
    return CliError(
        f"the blob store lacks {len(keys_)} blobs that rows name: {shown}. No backup was made",
        remedy="restore them from an earlier backup, or use --allow-missing to back up without them",
        code="blobs_missing",
        exit_code=Exit.FAILED,
    )
