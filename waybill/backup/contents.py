"""Copies blobs to and from a backup, a few at a time, each read once and in chunks."""

import hashlib
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from core.kit.blob import BlobNotFound, BlobStore
from waybill.backup.manifest import BLOBS, IndexLine, blob_path, damaged, digest_of, read_index
from waybill.backup.references import Reference
from waybill.cli.exits import Exit
from waybill.cli.failures import CliError

# Latency to the store bounds a copy of many small blobs, not this machine.
_THREADS = 8
Given = TypeVar("Given")
Made = TypeVar("Made")


@dataclass(frozen=True, slots=True)
class Copied:
    """The outcome for a reference: its line in the index, or None when the store has no such blob."""

    reference: Reference
    line: IndexLine | None


def fetch(blobs: BlobStore, references: Iterable[Reference], folder: Path) -> Iterator[Copied]:
    """Copy what is referenced into the backup at `folder`. Raises `CliError` for a blob that differs from its row."""
    (folder / BLOBS).mkdir(mode=0o700)
    yield from _in_threads(lambda reference: Copied(reference, _fetch(blobs, reference, folder)), references)


def check(folder: Path) -> Iterator[IndexLine]:
    """Read every content in the backup again. Raises `CliError` for the first that is missing or differs."""
    yield from _in_threads(lambda line: _check(folder, line), read_index(folder))


def put(blobs: BlobStore, folder: Path) -> Iterator[IndexLine]:
    """Store every blob of the backup under its key. Raises `CliError` for one that was not stored unchanged."""
    yield from _in_threads(lambda line: _put(blobs, folder, line), read_index(folder))


def _fetch(blobs: BlobStore, reference: Reference, folder: Path) -> IndexLine | None:
    digest, size = hashlib.sha256(), 0
    descriptor, temporary = tempfile.mkstemp(dir=folder / BLOBS, prefix=".copy-")
    try:
        with os.fdopen(descriptor, "wb") as file:
            for chunk in blobs.open(reference.key):
                digest.update(chunk)
                size += len(chunk)
                file.write(chunk)
            file.flush()
            os.fsync(file.fileno())
        found = digest.hexdigest()
        if reference.sha256 not in {None, found}:
            raise CliError(
                f"the blob {reference.key} does not match its row in {reference.table}: its SHA-256 differs",
                remedy="restore its content from an earlier backup",
                code="blob_corrupt",
                exit_code=Exit.FAILED,
            )
        path = blob_path(folder, found)
        path.parent.mkdir(mode=0o700, exist_ok=True)
        Path(temporary).replace(path)
    except BlobNotFound:
        return None
    finally:
        Path(temporary).unlink(missing_ok=True)
    return IndexLine(key=reference.key, sha256=found, size_bytes=size, content_type=reference.content_type)


def _check(folder: Path, line: IndexLine) -> IndexLine:
    path = blob_path(folder, line.sha256)
    if not path.is_file() or digest_of(path).sha256 != line.sha256:
        raise damaged(f"the blob {line.key}")
    return line


def _put(blobs: BlobStore, folder: Path, line: IndexLine) -> IndexLine:
    with blob_path(folder, line.sha256).open("rb") as file:
        stored = blobs.put(line.key, file, line.content_type)
    if stored.sha256 != line.sha256:
        raise damaged(f"the blob {line.key}")
    return line


def _in_threads(do: Callable[[Given], Made], given: Iterable[Given]) -> Iterator[Made]:
    """`do` of each, in order of completion, with bounded concurrency: `given` may be of any length."""
    with ThreadPoolExecutor(_THREADS, thread_name_prefix="blobs") as pool:
        running: set[Future[Made]] = set()
        try:
            for each in given:
                running.add(pool.submit(do, each))
                if len(running) >= 2 * _THREADS:
                    done, running = wait(running, return_when=FIRST_COMPLETED)
                    yield from (future.result() for future in done)
            yield from (future.result() for future in wait(running).done)
        finally:
            for future in running:
                future.cancel()
