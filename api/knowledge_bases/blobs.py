"""Where uploaded files lie in the blob store: by base, then by name, then by content.

The same file under the same name has one place, so a repeated upload changes nothing, and all versions of a document
go with it.
"""

import hashlib
from uuid import UUID


def base_prefix(base_id: UUID) -> str:
    """The folder of a knowledge base."""
    return f"knowledge/{base_id}/"


def document_prefix(base_id: UUID, name: str) -> str:
    """The folder of a document's versions; names may hold anything, so it is their digest that counts."""
    return f"{base_prefix(base_id)}{hashlib.sha256(name.encode()).hexdigest()[:32]}/"


def blob_key(base_id: UUID, name: str, sha256: str) -> str:
    """The place of one version."""
    return f"{document_prefix(base_id, name)}{sha256}"
