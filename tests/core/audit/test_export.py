from pathlib import Path
from typing import BinaryIO

import orjson
from sqlalchemy import text

from core.audit import anchors, merkle
from core.audit.documents import leaf_of
from core.audit.export import export_once
from core.audit.record import Personal
from core.kit.blob.interface import BlobInfo
from core.kit.blob.local import LocalBlobStore
from tests.factories.audit import Trail


def test_an_export_can_be_verified_on_its_own(trail: Trail, tmp_path: Path) -> None:
    blobs = LocalBlobStore(tmp_path)
    trail.write(personal=Personal("ada", {"email": "ada@example.org"}))
    trail.seal()
    trail.sealed(7, 2)
    (done,) = [each for each in export_once(trail.database, blobs) if each.organization_id == trail.organization_id]
    assert (done.first_number, done.last_number, done.records) == (1, 3, 10)
    body = blobs.get(done.blob_key)
    assert b"ada@example.org" not in body
    lines = [orjson.loads(line) for line in body.splitlines()]
    seals = [line["seal"] for line in lines if "seal" in line]
    assert seals == [seal.document() for seal in trail.seals()]
    records = [line["record"] for line in lines if "record" in line]
    for seal in seals:
        within = [each for each in records if seal["first_sequence"] <= each["sequence"] <= seal["last_sequence"]]
        assert merkle.root([leaf_of(each) for each in within]).hex() == seal["root"]


def test_what_is_exported_is_not_exported_again_and_nothing_is_written_twice(trail: Trail, tmp_path: Path) -> None:
    blobs = LocalBlobStore(tmp_path)
    trail.sealed(5, 5, 5)

    def export(most: int) -> list[tuple[int, int]]:
        found = export_once(trail.database, blobs, organization_id=trail.organization_id, max_records=most)
        return [(each.first_number, each.last_number) for each in found]

    assert [export(6), export(6), export(6)] == [[(1, 2)], [(3, 3)], []]
    stored = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()}
    trail.tamper("DELETE FROM audit_exports WHERE organization_id = %(organization)s")
    assert [export(6), export(6)] == [[(1, 2)], [(3, 3)]]
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()} == stored
    assert [key.rpartition("/")[2] for key in blobs.list(f"{anchors.folder(trail.organization_id)}anchors/")] == [
        "000000000002.json",
        "000000000003.json",
    ]


def test_an_export_that_dies_is_taken_up_again(trail: Trail, tmp_path: Path) -> None:
    class Full(LocalBlobStore):
        def put(self, key: str, data: bytes | BinaryIO, content_type: str) -> BlobInfo:  # noqa: ARG002 - a full disk
            raise OSError(28, "no space left")

    trail.sealed(3)
    for _ in range(2):
        try:
            export_once(trail.database, Full(tmp_path))
        except OSError:
            continue
        raise AssertionError("a full disk went unnoticed")
    with trail.database.system() as session:
        assert session.execute(text("SELECT count(*) FROM audit_exports")).scalar_one() >= 0
    blobs = LocalBlobStore(tmp_path)
    assert trail.organization_id in {each.organization_id for each in export_once(trail.database, blobs)}
    assert trail.verify(anchors=anchors.read_anchors(blobs, trail.organization_id)).anchored_through == 1
