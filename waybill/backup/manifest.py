"""The manifest of a backup: its contents, time, release and the keys it needs."""

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError

from waybill.cli.exits import Exit
from waybill.cli.failures import CliError

FORMAT = 1
MANIFEST, SUMS, DUMP, INDEX, BLOBS = "manifest.json", "SHA256SUMS", "database.dump", "blobs.jsonl", "blobs"
CHUNK_BYTES = 1024 * 1024


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Part(_Strict):
    """A file of the backup; `sha256` is hexadecimal."""

    sha256: str
    size_bytes: int


class Blobs(_Strict):
    """What was copied; `missing` are keys that rows refer to but the store did not have."""

    count: int
    size_bytes: int
    removed_meanwhile: int
    missing: list[str]


class SecretKey(_Strict):
    """A WAYBILL_SECRET_KEY or WAYBILL_PSEUDONYM_KEY by its fingerprint, and how many stored values it has sealed."""

    fingerprint: str
    sealed_values: int


class SigningKey(_Strict):
    """A signing key by its id (RFC 7638), and how many seals of the audit trail it has signed."""

    key_id: str
    seals: int


class Manifest(_Strict):
    """`taken_at` is the time of the snapshot. Anything committed later is not in the backup."""

    format: Literal[1]
    release: str
    schema_revision: str
    taken_at: AwareDatetime
    postgres: int
    rows: dict[str, int]
    blobs: Blobs
    secret_keys: list[SecretKey]
    # Earlier releases wrote none.
    pseudonym_keys: list[SecretKey] = []
    signing_keys: list[SigningKey]
    parts: dict[str, Part]


class IndexLine(_Strict):
    """A line of `blobs.jsonl`."""

    key: str
    sha256: str
    size_bytes: int
    content_type: str


def blob_path(folder: Path, sha256: str) -> Path:
    """The path of the content with that digest in the backup at `folder`."""
    return folder / BLOBS / sha256[:2] / sha256


def read_index(folder: Path) -> Iterator[IndexLine]:
    """The lines of the index, in the order they were written."""
    with (folder / INDEX).open(encoding="utf-8") as lines:
        for line in lines:
            yield IndexLine.model_validate_json(line)


def digest_of(path: Path) -> Part:
    """Read a file to its end for its digest and size."""
    digest, size = hashlib.sha256(), 0
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            digest.update(chunk)
            size += len(chunk)
    return Part(sha256=digest.hexdigest(), size_bytes=size)


def write(folder: Path, manifest: Manifest) -> None:
    """Write the manifest and, last of all, the list of checksums, durably."""
    write_durably(folder / MANIFEST, manifest.model_dump_json(indent=2) + "\n")
    digests = {MANIFEST: digest_of(folder / MANIFEST).sha256} | {
        name: part.sha256 for name, part in manifest.parts.items()
    }
    write_durably(folder / SUMS, "".join(f"{digest}  {name}\n" for name, digest in digests.items()))


def read(folder: Path) -> Manifest:
    """The manifest of the backup at `folder`. Raises `CliError` if it is missing, damaged or of a later format."""
    try:
        lines = (folder / SUMS).read_text(encoding="utf-8").splitlines()
        sums = {name: digest for digest, name in (line.split("  ", 1) for line in lines)}
        text = (folder / MANIFEST).read_bytes()
    except (OSError, ValueError) as error:
        raise CliError(
            f"{folder} is not a complete backup: {MANIFEST} or {SUMS} is missing or unreadable",
            remedy="an interrupted backup leaves such a folder; take a new backup",
            code="backup_incomplete",
            exit_code=Exit.FAILED,
        ) from error
    if hashlib.sha256(text).hexdigest() != sums.get(MANIFEST):
        raise damaged(MANIFEST)
    try:
        return Manifest.model_validate_json(text)
    except ValidationError as error:
        raise CliError(
            f"unsupported manifest format; this release reads format {FORMAT}",
            remedy="restore with the release that made the backup, or a newer one",
            code="backup_format_unknown",
            exit_code=Exit.REFUSED,
        ) from error


def damaged(name: str) -> CliError:
    """The error for a part that differs from what the backup wrote."""
    return CliError(
        f"{name} is damaged: it is missing, or its SHA-256 differs. Nothing was restored",
        remedy="use another copy of the backup, or restore an earlier one",
        code="backup_damaged",
        exit_code=Exit.FAILED,
    )


def write_durably(path: Path, text: str) -> None:
    """Write a file and flush it to disk."""
    with path.open("x", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def flush_folder(folder: Path) -> None:
    """Flush the names in a folder to disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
