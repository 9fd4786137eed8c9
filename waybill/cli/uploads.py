"""Selects files for a knowledge base, finds the new ones and uploads them."""

import hashlib
import mimetypes
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pipelines.knowledge.documents.formats import SUFFIXES
from waybill.cli.exits import Exit
from waybill.cli.failures import CliError

if TYPE_CHECKING:
    from waybill.client import Document, KnowledgeBase, WaybillClient

_FILES_OWN_FAULT = frozenset({413, 415, 422})


@dataclass(frozen=True, slots=True)
class Candidate:
    """A file on disk and its name in the base: its path below the given folder."""

    path: Path
    name: str

    @property
    def media_type(self) -> str:
        """Its media type, by its name."""
        known = SUFFIXES.get(self.path.suffix.lower())
        return known[1] if known else mimetypes.guess_type(self.path.name)[0] or "application/octet-stream"


@dataclass(frozen=True, slots=True)
class Selection:
    """Files found below the given paths; `passed_over` are files in an unsupported format."""

    files: tuple[Candidate, ...]
    passed_over: tuple[Path, ...]


@dataclass(frozen=True, slots=True)
class Difference:
    """Files to upload, and those that the base already has unchanged."""

    changed: tuple[tuple[Candidate, bytes], ...]
    unchanged: tuple[Candidate, ...]


@dataclass(frozen=True, slots=True)
class Refused:
    """A file that the API refused, and why."""

    name: str
    code: str
    message: str


def select(paths: Sequence[Path]) -> Selection:
    """The files in `paths`; folders are searched recursively, without hidden files. Raises `CliError`."""
    files: dict[str, Candidate] = {}
    passed_over: list[Path] = []
    for path in paths:
        if path.is_dir():
            for found in sorted(_visible_files(path)):
                # In a folder, only supported formats are picked; a file named explicitly is always sent.
                if found.suffix.lower() in SUFFIXES:
                    _add(files, Candidate(found, found.relative_to(path).as_posix()))
                else:
                    passed_over.append(found)
        else:
            _add(files, Candidate(path, path.name))
    return Selection(tuple(files.values()), tuple(passed_over))


def compare(files: Iterable[Candidate], known: Iterable["Document"]) -> Difference:
    """The `files` that the base does not have yet, or whose document failed before. Raises `CliError`."""
    ready = {document.name: document.sha256 for document in known if document.state == "ready"}
    changed: list[tuple[Candidate, bytes]] = []
    unchanged: list[Candidate] = []
    for file in files:
        content = _read(file.path)
        if ready.get(file.name) == hashlib.sha256(content).hexdigest():
            unchanged.append(file)
        else:
            changed.append((file, content))
    return Difference(tuple(changed), tuple(unchanged))


def send(
    client: "WaybillClient",
    base: "KnowledgeBase",
    changed: Iterable[tuple[Candidate, bytes]],
    sent: Callable[[Candidate, int], None],
) -> tuple[list["Document"], list[Refused]]:
    """Upload file after file; `sent` is called for each with its size in bytes.

    A file that the API refuses for its content (empty, too large) does not stop the others. Raises `ApiProblem`.
    """
    from waybill.client import ApiProblem

    accepted: list[Document] = []
    refused: list[Refused] = []
    for file, content in changed:
        try:
            accepted.append(client.knowledge_bases.upload(base.id, file.name, content, file.media_type))
        except ApiProblem as problem:
            if problem.status not in _FILES_OWN_FAULT:
                raise
            refused.append(Refused(file.name, problem.code, problem.detail))
        sent(file, len(content))
    return accepted, refused


def _add(files: dict[str, Candidate], candidate: Candidate) -> None:
    clash = files.get(candidate.name)
    if clash is not None and clash.path != candidate.path:
        raise CliError(
            f"two files would have the same name {candidate.name}: {clash.path} and {candidate.path}",
            remedy="ingest their common parent folder, so that their names include their folders",
            code="name_clash",
            exit_code=Exit.USAGE,
        )
    files[candidate.name] = candidate


def _visible_files(folder: Path) -> Iterator[Path]:
    for found in folder.rglob("*"):
        hidden = any(part.startswith(".") for part in found.relative_to(folder).parts)
        if not hidden and found.is_file():
            yield found


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        reason = error.strerror or str(error)
        raise CliError(f"cannot read {path}: {reason}", code="file_unreadable", exit_code=Exit.USAGE) from error
