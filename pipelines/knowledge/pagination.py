"""Finds the page of a character in its document.

A passage may run over the end of a page, and a quote must name its own page, not that of its passage. The starts of a
file's pages are stored beside the file in the blob store, under a key of the file's content and of the readers'
version: the record never changes, and it is deleted with the file.
"""

from bisect import bisect_right
from collections import OrderedDict
from threading import Lock

import orjson

from core.kit.blob import BlobNotFound, BlobStore
from core.kit.json_values import dumps
from core.knowledge.records import DocumentRecord
from pipelines.knowledge.documents.document import Document

# The version of the readers' and the chunker's results. Raise it when they change, and every document is read again.
PIPELINE = "3"
_REMEMBERED = 256
_CONTENT_TYPE = "application/json"

Starts = list[tuple[int, int]]


class Pagination:
    """Stores and finds where pages start. Safe in several threads."""

    def __init__(self, blobs: BlobStore) -> None:
        self._blobs = blobs
        self._known: OrderedDict[str, Starts] = OrderedDict()
        self._lock = Lock()

    def store(self, record: DocumentRecord, document: Document) -> None:
        """Store where the pages of `document` start; nothing for a format without pages."""
        if document.pages:
            starts = [(page.number, page.start) for page in document.pages]
            self._blobs.put(pages_key(record.blob_key), dumps(starts), _CONTENT_TYPE)

    def page_at(self, record: DocumentRecord, position: int) -> int | None:
        """The page of the character at `position` in the document's text; None when it has none or none were stored."""
        starts = self._starts(record)
        if not starts:
            return None
        found = bisect_right(starts, position, key=lambda start: start[1])
        return starts[max(found - 1, 0)][0]

    def _starts(self, record: DocumentRecord) -> Starts:
        key = pages_key(record.blob_key)
        with self._lock:
            if key in self._known:
                self._known.move_to_end(key)
                return self._known[key]
        try:
            starts: Starts = [(number, start) for number, start in orjson.loads(self._blobs.get(key))]
        except BlobNotFound:
            # New content was uploaded and is not ingested yet; searches still use the old.
            return []
        with self._lock:
            self._known[key] = starts
            while len(self._known) > _REMEMBERED:
                self._known.popitem(last=False)
        return starts


def pages_key(blob_key: str) -> str:
    """The key of the page starts of the content at `blob_key`."""
    return f"{blob_key}.pages-{PIPELINE}"
