"""Seals outside the database: anchors in the blob store bound what a rewritten database can deny.

A chain that lost its end is still a valid chain. An anchor, written once to immutable storage, records its length and
its last link.
"""

from typing import Any
from uuid import UUID

import orjson

from core.audit.documents import Seal
from core.kit.blob import BlobStore
from core.kit.ids import ORGANIZATION, decode, encode
from core.kit.json_values import dumps

_ROOT = "audit/"
# The newest anchor vouches for everything before it; older ones catch a chain that was rewritten and anchored again.
_READ_MAX = 100


def folder(organization_id: UUID) -> str:
    """The folder of an organization's trail."""
    return f"{_ROOT}{encode(ORGANIZATION, organization_id)}/"


def anchor_key(organization_id: UUID, number: int) -> str:
    """The blob key of a seal's anchor."""
    return f"{folder(organization_id)}anchors/{number:012}.json"


def write_anchor(blobs: BlobStore, seal: Seal) -> str:
    """Store the seal's document, unless it is there already; returns the key."""
    key = anchor_key(seal.organization_id, seal.number)
    if not blobs.exists(key):
        blobs.put(key, dumps(seal.document()), "application/json")
    return key


def read_anchors(blobs: BlobStore, organization_id: UUID) -> list[tuple[str, dict[str, Any] | None]]:
    """The newest anchors, oldest first, as (key, seal document); None for one that cannot be read."""
    keys = list(blobs.list(f"{folder(organization_id)}anchors/"))[-_READ_MAX:]
    return [(key, _parse(blobs.get(key))) for key in keys]


def anchored_organizations(blobs: BlobStore) -> list[UUID]:
    """Every organization that has an anchor, including those that the database no longer knows."""
    found = set()
    for key in blobs.list(_ROOT):
        name = key.removeprefix(_ROOT).partition("/")[0]
        try:
            found.add(decode(ORGANIZATION, name))
        except ValueError:
            continue
    return sorted(found)


def _parse(body: bytes) -> dict[str, Any] | None:
    try:
        found = orjson.loads(body)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None
