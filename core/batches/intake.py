"""Validates the file of a new batch as a whole, before its first line is accepted.

The lines are written in portions, each in its own transaction: one long transaction would hold back everyone's event
streams (ADR 17). No line is visible until the last portion; after a kill in between, validation starts again.
"""

from collections.abc import Iterator, Mapping
from uuid import UUID

from core.batches import repository, work
from core.batches.records import LINES_MAX, BatchLine, BatchState, LineProblem, LineRule
from core.batches.validation import LINE_MAX_BYTES, LineValidator
from core.batches.work import OpenBatch
from core.capability import Manifest
from core.files import repository as files
from core.keys.errors import KeyRevoked, NotAMember
from core.kit.blob import BlobNotFound, BlobStore
from core.kit.db import Database
from core.kit.errors import WaybillError
from core.kit.logging import get_logger

_LINES_AT_ONCE = 500
_log = get_logger(__name__)


def look_once(database: Database, blobs: BlobStore, offered: Mapping[str, Manifest]) -> int:
    """Validate the files of batches that are `validating`; returns how many were accepted or refused.

    A batch that fails is logged and retried in the next round.
    """
    with database.system() as session:
        found = work.open_batches(session, (BatchState.VALIDATING,))
    done = 0
    for batch_id, organization_id in found:
        try:
            # The lock is held to the end by a dedicated transaction: two dispatchers never validate the same file.
            with database.tenant(organization_id) as holding:
                if work.take(holding, batch_id):
                    done += _look(database, blobs, offered, organization_id, batch_id)
        except Exception:  # noqa: BLE001 - whatever is wrong with this one, the others are to be looked at
            _log.exception("batch_not_validated", batch_id=str(batch_id))
    return done


def _look(
    database: Database, blobs: BlobStore, offered: Mapping[str, Manifest], organization_id: UUID, batch_id: UUID
) -> int:
    with database.tenant(organization_id) as session:
        batch = work.read(session, organization_id, batch_id, lock=False)
        work.delete_lines(session, organization_id, batch_id)
        found = None if batch.input_file_id is None else files.get(session, batch.principal, batch.input_file_id)
    if batch.state is not BatchState.VALIDATING:
        return 0
    try:
        scopes = batch.acting().scopes
    except (KeyRevoked, NotAMember) as gone:
        return _refuse(database, batch, gone)
    validator = _validator(batch, offered, scopes)
    try:
        for number, raw in () if found is None else _lines(blobs.open(found.blob_key)):
            if validator.total + validator.bad_lines == LINES_MAX:
                validator.refuse_number(number)
                break
            validator.read(number, raw)
    except BlobNotFound:
        found = None
    if found is None:
        validator.refuse_all(LineRule.FILE_NOT_FOUND, "the file is not there any more; upload it again")
    elif not validator.total and not validator.bad_lines:
        validator.refuse_all(LineRule.NO_LINES, "the file has no lines")
    if validator.bad_lines or found is None:
        with database.tenant(organization_id) as session:
            work.refuse(session, batch_id, validator.problems, validator.bad_lines)
        return 1
    _write(database, batch, _accepted(_validator(batch, offered, scopes), blobs.open(found.blob_key)))
    with database.tenant(organization_id) as session:
        if not work.accept(session, batch_id, validator.total):
            work.delete_lines(session, organization_id, batch_id)
    return 1


def _refuse(database: Database, batch: OpenBatch, refusal: WaybillError) -> int:
    with database.tenant(batch.organization_id) as session:
        work.refuse(session, batch.id, [LineProblem(1, "", refusal.code, refusal.detail)], 1)
    return 1


def _validator(batch: OpenBatch, offered: Mapping[str, Manifest], scopes: frozenset[str]) -> LineValidator:
    return LineValidator(
        offered,
        batch.allowed,
        scopes,
        default=batch.capability,
        shared_metadata=batch.metadata,
        needs_cap=batch.max_cost_usd is not None and batch.max_line_cost_usd is None,
    )


def _accepted(validator: LineValidator, content: Iterator[bytes]) -> Iterator[tuple[int, BatchLine]]:
    for number, raw in _lines(content):
        line = validator.read(number, raw)
        if line is None:
            problem: LineProblem = validator.problems[0]
            raise RuntimeError(f"line {number} was right a moment ago, and is not now: {problem.code}")
        yield number, line


def _write(database: Database, batch: OpenBatch, lines: Iterator[tuple[int, BatchLine]]) -> None:
    portion: list[tuple[int, BatchLine]] = []
    for line in lines:
        portion.append(line)
        if len(portion) == _LINES_AT_ONCE:
            _write_portion(database, batch, portion)
            portion = []
    if portion:
        _write_portion(database, batch, portion)


def _write_portion(database: Database, batch: OpenBatch, portion: list[tuple[int, BatchLine]]) -> None:
    with database.tenant(batch.organization_id) as session:
        repository.insert_lines(session, batch.principal, batch.id, portion)


def _lines(content: Iterator[bytes]) -> Iterator[tuple[int, bytes]]:
    """The non-empty lines, with their numbers in the file; a line that is too long is cut."""
    number, rest = 1, b""
    for chunk in content:
        *whole, rest = (rest + chunk).split(b"\n")
        for raw in whole:
            if raw.strip():
                yield number, raw
            number += 1
        if len(rest) > LINE_MAX_BYTES:
            # The validator refuses it for its length; the rest of it is discarded.
            rest = rest[: LINE_MAX_BYTES + 1]
    if rest.strip():
        yield number, rest
