import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.audit import merkle


def recursive_root(leaves: list[bytes]) -> bytes:
    """The definition of RFC 6962, section 2.1, word for word."""
    if len(leaves) == 1:
        return leaves[0]
    split = 1 << (len(leaves) - 1).bit_length() - 1
    return hashlib.sha256(b"\x01" + recursive_root(leaves[:split]) + recursive_root(leaves[split:])).digest()


def leaves_of(count: int) -> list[bytes]:
    return [merkle.leaf_hash(str(number).encode()) for number in range(count)]


# Computed by the reference implementation of Certificate Transparency for its eight test inputs.
CT_INPUTS = [
    b"",
    b"\x00",
    b"\x10",
    bytes.fromhex("2021"),
    bytes.fromhex("3031"),
    bytes.fromhex("40414243"),
    bytes.fromhex("5051525354555657"),
    bytes.fromhex("606162636465666768696a6b6c6d6e6f"),
]
CT_ROOTS = {
    1: "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    2: "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    3: "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    8: "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
}


@pytest.mark.parametrize(("size", "root"), CT_ROOTS.items())
def test_the_roots_are_those_of_certificate_transparency(size: int, root: str) -> None:
    assert merkle.root([merkle.leaf_hash(data) for data in CT_INPUTS[:size]]).hex() == root


@pytest.mark.parametrize("size", range(1, 40))
def test_root_and_proofs_agree_with_the_definition(size: int) -> None:
    leaves = leaves_of(size)
    assert merkle.root(leaves) == recursive_root(leaves)
    for index in range(size):
        proof = merkle.path(leaves, index)
        assert merkle.root_of_path(leaves[index], index, size, proof) == merkle.root(leaves)


@given(size=st.integers(1, 60), index=st.integers(0, 80), claimed=st.integers(0, 80), cut=st.integers(0, 3))
def test_a_proof_proves_nothing_else(size: int, index: int, claimed: int, cut: int) -> None:
    index %= size
    leaves = leaves_of(size)
    proof = merkle.path(leaves, index)
    if claimed != index:
        assert merkle.root_of_path(leaves[index], claimed, size, proof) != merkle.root(leaves)
    if cut and proof:
        assert merkle.root_of_path(leaves[index], index, size, proof[:-cut]) != merkle.root(leaves)
    assert merkle.root_of_path(leaves[index], index, size, [*proof, bytes(32)]) is None


def test_a_node_is_no_leaf() -> None:
    left, right = leaves_of(2)
    assert merkle.leaf_hash(left + right) != merkle.node_hash(left, right)
