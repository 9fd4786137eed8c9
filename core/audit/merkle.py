"""The Merkle tree of RFC 6962, section 2.1: SHA-256, with leaves and nodes hashed under different first bytes.

Without that difference a node could be passed off as a leaf. A tree of n leaves splits at the largest power of two
below n; hashing level by level, with an odd last node moved up unchanged, gives the same tree.
"""

import hashlib
from collections.abc import Sequence

LEAF = b"\x00"
NODE = b"\x01"


def leaf_hash(data: bytes) -> bytes:
    """The leaf of `data`."""
    return hashlib.sha256(LEAF + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The node over two children."""
    return hashlib.sha256(NODE + left + right).digest()


def root(leaves: Sequence[bytes]) -> bytes:
    """The root over `leaves`, of which there is at least one."""
    level = list(leaves)
    while len(level) > 1:
        level = _up(level)
    return level[0]


def path(leaves: Sequence[bytes], index: int) -> list[bytes]:
    """The siblings from leaf `index` up to the root: its inclusion proof."""
    level, found = list(leaves), []
    while len(level) > 1:
        sibling = index ^ 1
        if sibling < len(level):
            found.append(level[sibling])
        level, index = _up(level), index >> 1
    return found


def root_of_path(leaf: bytes, index: int, size: int, siblings: Sequence[bytes]) -> bytes | None:
    """The root that a proof leads to, by RFC 9162, section 2.1.3.2; None when it cannot be one of a tree of `size`."""
    if not 0 <= index < size:
        return None
    node, last, rest = leaf, size - 1, list(siblings)
    while last > 0:
        if index & 1 or index < last:
            if not rest:
                return None
            sibling = rest.pop(0)
            node = node_hash(sibling, node) if index & 1 else node_hash(node, sibling)
        index, last = index >> 1, last >> 1
    return None if rest else node


def _up(level: list[bytes]) -> list[bytes]:
    above = [node_hash(level[at], level[at + 1]) for at in range(0, len(level) - 1, 2)]
    if len(level) % 2:
        above.append(level[-1])
    return above
