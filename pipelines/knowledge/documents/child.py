"""The reader's entry in a warm child: `pipelines._kit.sandbox` loads `open_reader` and calls its handler."""

from collections.abc import Callable, Mapping
from typing import Any

from pipelines.knowledge.documents import wire
from pipelines.knowledge.documents.errors import CORRUPT, UnreadableDocument
from pipelines.knowledge.documents.limits import Limits
from pipelines.knowledge.documents.readers import read


def open_reader(**limits: Any) -> Callable[[Mapping[str, Any], bytes], dict[str, Any]]:
    """A handler of ``{"name", "content_type"}`` and a file's bytes."""
    known = Limits(**limits)

    def handle(task: Mapping[str, Any], data: bytes) -> dict[str, Any]:
        try:
            return wire.encode_document(read(data, name=task["name"], content_type=task["content_type"], limits=known))
        except (UnreadableDocument, MemoryError):
            raise
        except Exception as error:
            # A parser's defect counts as the file's fault, and is no reason to start another process.
            detail = f"This file cannot be read ({type(error).__name__})."
            raise UnreadableDocument(detail, code=CORRUPT) from error

    return handle
