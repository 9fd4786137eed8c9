"""The blobs that rows refer to. A blob is stored before its row, so every blob in a snapshot already exists."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql

from core.audit.anchors import anchor_key
from core.files.records import part_key, parts_prefix
from core.kit.blob import BlobStore
from pipelines.knowledge.pagination import pages_key

_AT_ONCE = 2_000
_BINARY, _JSON, _JSON_LINES = "application/octet-stream", "application/json", "application/x-ndjson"


@dataclass(frozen=True, slots=True)
class Reference:
    """A blob that a column of a table refers to; without a column, one that may exist. `sha256` where known."""

    key: str
    content_type: str
    sha256: str | None = None
    table: str = ""
    column: str = ""


_PLAIN = {
    ("jobs", "input_ref"): f"'{_JSON}', NULL",
    ("jobs", "result_ref"): f"'{_JSON}', NULL",
    ("job_artifacts", "blob_key"): "content_type, sha256",
    ("documents", "blob_key"): "content_type, sha256",
    ("files", "blob_key"): "content_type, sha256",
}


def referenced(connection: psycopg.Connection[Any], blobs: BlobStore) -> Iterator[Reference]:
    """Every blob of the rows visible to the connection's transaction, unordered; a key may appear more than once."""
    for (table, column), facts in _PLAIN.items():
        # Names and facts are the constants above.
        query = f"SELECT {column}, {facts} FROM {table} WHERE {column} IS NOT NULL"
        for key, content_type, sha256 in _rows(connection, query):
            yield Reference(key, content_type, sha256, table, column)
            if table == "documents":
                yield Reference(pages_key(key), _JSON)
    # They may be in a separate immutable store. An anchor of a later seal must not be included, because it would make
    # the restored trail look truncated.
    exports = "SELECT organization_id, last_number, blob_key, sha256 FROM audit_exports"
    for organization_id, number, key, sha256 in _rows(connection, exports):
        yield Reference(key, _JSON_LINES, sha256, "audit_exports")
        yield Reference(anchor_key(organization_id, number), _JSON)
    for upload_id, received in _rows(connection, "SELECT id, received_bytes FROM file_uploads"):
        following = part_key(upload_id, received)
        for key in blobs.list(parts_prefix(upload_id)):
            if key < following:
                yield Reference(key, _BINARY)


def still_named(connection: psycopg.Connection[Any], missing: list[Reference]) -> list[Reference]:
    """Those of `missing` that rows refer to now."""
    named: list[Reference] = []
    for table, column in _PLAIN:
        keys = {each.key: each for each in missing if (each.table, each.column) == (table, column)}
        query = sql.SQL("SELECT DISTINCT {column} FROM {table} WHERE {column} = ANY(%s)").format(
            column=sql.Identifier(column), table=sql.Identifier(table)
        )
        if keys:
            named += [keys[key] for (key,) in connection.execute(query, (list(keys),))]
    return named


def _rows(connection: psycopg.Connection[Any], query: str) -> Iterator[tuple[Any, ...]]:
    # A cursor of the server's, so that no table is ever held in memory.
    with connection.cursor("referenced") as cursor:
        cursor.itersize = _AT_ONCE
        cursor.execute(query.encode())
        yield from cursor
