"""Paths of uploaded files in the blob store: by knowledge base, then by name, then by content.

The same file under the same name has one path, so a repeated upload changes nothing, and all versions of a document are
deleted together.
"""

import hashlib
from uuid import UUID


def base_prefix(base_id: UUID) -> str:
    """The folder of a knowledge base."""
    return f"knowledge/{base_id}/"


def document_prefix(base_id: UUID, name: str) -> str:
    """The folder of a document's versions. Names may contain anything, so the path uses their digest."""
    return f"{base_prefix(base_id)}{hashlib.sha256(name.encode()).hexdigest()[:32]}/"


def blob_key(base_id: UUID, name: str, sha256: str) -> str:
    """The path of one version."""
    return f"{document_prefix(base_id, name)}{sha256}"
