from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import text

from core.audit import anchors, retention, verification
from core.audit.documents import seal_hash
from core.audit.export import export_once
from core.audit.findings import Kind
from core.audit.repository import records
from core.audit.verification import verify
from core.kit.blob.local import LocalBlobStore
from core.kit.db import Database
from core.kit.signing import Keyring
from tests.factories.audit import Trail, new_signer

WHERE = "WHERE organization_id = %(organization)s"
RECORD = f"{WHERE} AND sequence = %(sequence)s"
SEAL = f"{WHERE} AND number = %(number)s"

# One change of every column of a record.
FLIPS = {
    "id": "uuidv7()",
    "project_id": "NULL",
    "recorded_at": "recorded_at + interval '1 microsecond'",
    "action": "'worker:job:fail'",
    "subject_id": "subject_id || ' '",
    "actor_kind": "'key'",
    "actor_id": "NULL",
    "attempt": "attempt + 1",
    "payload_digest": "set_byte(payload_digest, 7, get_byte(payload_digest, 7) # 1)",
    "detail": "jsonb_set(detail, '{cost_usd}', '\"0.000\"')",
}


@pytest.mark.parametrize("column", FLIPS)
def test_a_changed_column_is_found_at_its_record(trail: Trail, column: str) -> None:
    trail.sealed(4, 6)
    trail.tamper(f"UPDATE audit_records SET {column} = {FLIPS[column]} {RECORD}", sequence=7)
    assert trail.found() == [("record_altered", 2, 7, 7)]


def test_a_digit_beyond_the_precision_of_a_float_is_found(trail: Trail) -> None:
    trail.write(amount=0.5)
    trail.tamper(f"UPDATE audit_inbox SET detail = '{{\"amount\": 1.00000000000000000001}}' {WHERE}")
    trail.seal()
    assert trail.verify().is_intact
    trail.tamper(f"UPDATE audit_records SET detail = '{{\"amount\": 1.00000000000000000002}}' {RECORD}", sequence=1)
    assert trail.found() == [("record_altered", 1, 1, 1)]


def test_a_changed_leaf_is_told_from_a_changed_record(trail: Trail) -> None:
    trail.sealed(5)
    trail.tamper(f"UPDATE audit_records SET leaf = sha256('x') {RECORD}", sequence=2)
    assert trail.found() == [("leaf_altered", 1, 2, 2)]


def test_a_record_rewritten_with_its_leaf_is_found_in_its_batch(trail: Trail) -> None:
    trail.sealed(5, 3)
    with trail.database.tenant(trail.organization_id) as session:
        last = list(records(session, trail.organization_id, after=5, through=8))[-1]
    leaf = replace(last, action="api:job:cancel").leaf_at(8)
    trail.tamper(f"UPDATE audit_records SET action = 'api:job:cancel', leaf = %(leaf)s {RECORD}", sequence=8, leaf=leaf)
    assert trail.found() == [("batch_rewritten", 2, 6, 8)]


@pytest.mark.parametrize(
    ("first", "last", "found"),
    [
        (1, 1, [("record_missing", 1, 1, 1)]),
        (3, 4, [("record_missing", 1, 3, 4)]),
        (4, 6, [("record_missing", 1, 4, 4), ("record_missing", 2, 5, 6)]),
        (5, 8, [("record_missing", 2, 5, 8)]),
    ],
)
def test_removed_rows_are_found(trail: Trail, first: int, last: int, found: list[tuple[str, int, int, int]]) -> None:
    trail.sealed(4, 4)
    trail.tamper(
        f"DELETE FROM audit_records {WHERE} AND sequence BETWEEN %(first)s AND %(last)s", first=first, last=last
    )
    assert trail.found() == found


@pytest.mark.parametrize(("one", "other"), [(2, 5), (3, 4)])
def test_a_swapped_pair_is_found_whichever_way_it_was_swapped(trail: Trail, one: int, other: int) -> None:
    trail.sealed(6)
    swap = "sequence = CASE sequence WHEN %(one)s THEN %(other)s::bigint ELSE %(one)s END"
    step = f"UPDATE audit_records SET sequence = -sequence {WHERE} AND sequence IN (%(one)s, %(other)s)"
    pair = {"one": one, "other": other}
    # Numbers changed places, leaves moved along.
    trail.tamper(step.replace("-sequence", "sequence + 1000"), **pair)
    trail.tamper(
        f"UPDATE audit_records SET {swap.replace('sequence WHEN', '(sequence - 1000) WHEN')}"
        f" {WHERE} AND sequence > 1000",
        **pair,
    )
    assert trail.found() == [("records_swapped", 1, one, other)]
    # Leaves put back where they were: now only the contents changed places.
    trail.tamper(
        "UPDATE audit_records AS record SET leaf = other.leaf FROM audit_records AS other"
        " WHERE record.organization_id = %(organization)s AND other.organization_id = %(organization)s"
        " AND (record.sequence, other.sequence) IN ((%(one)s, %(other)s), (%(other)s, %(one)s))",
        **pair,
    )
    assert trail.found() == [("records_swapped", 1, one, other)]


def test_a_forged_tail_is_found(trail: Trail) -> None:
    trail.sealed(3)
    copy = (
        "INSERT INTO audit_records SELECT organization_id, sequence + 3, {seal}, uuidv7(), project_id, recorded_at,"
        " action, subject_id, actor_kind, actor_id, attempt, payload_digest, detail, leaf FROM audit_records"
        f" {WHERE} AND sequence <= 2"
    )
    trail.tamper(copy.format(seal="uuidv7()"))
    assert trail.found() == [("record_forged", None, 4, 4), ("record_forged", None, 5, 5)]


def test_a_forged_seal_is_found(trail: Trail) -> None:
    trail.sealed(3)
    forger = Trail(trail.database, new_signer(), trail.organization_id, trail.project_id)
    forger.sealed(2)
    found = trail.found()
    assert [(kind, seal) for kind, seal, _, _ in found] == [("key_unknown", 2)]
    # A forger who claims our key for it.
    trail.tamper(f"UPDATE audit_seals SET key_id = %(key)s {SEAL}", number=2, key=trail.signer.key_id)
    assert [kind for kind, *_ in trail.found()] == ["seal_altered"]
    digest = seal_hash(trail.seals()[1].document())
    trail.tamper(f"UPDATE audit_seals SET hash = %(digest)s {SEAL}", number=2, digest=digest)
    assert [(kind, seal) for kind, seal, _, _ in trail.found()] == [("seal_forged", 2)]


SEAL_FLIPS = {
    "root": "sha256('x')",
    "previous_hash": "sha256('x')",
    "sealed_at": "sealed_at + interval '1 second'",
    "id": "uuidv7()",
    "hash": "sha256('x')",
    "signature": "set_byte(signature, 3, get_byte(signature, 3) # 1)",
}


@pytest.mark.parametrize("column", SEAL_FLIPS)
def test_a_rewritten_seal_is_found(trail: Trail, column: str) -> None:
    trail.sealed(2, 2, 2)
    trail.tamper(f"UPDATE audit_seals SET {column} = {SEAL_FLIPS[column]} {SEAL}", number=2)
    found = trail.found()
    assert found, column
    assert found[0][:2] == (("seal_forged" if column == "signature" else "seal_altered"), 2)
    assert {seal for _, seal, _, _ in found} <= {2, 3}


def test_a_removed_seal_is_found(trail: Trail) -> None:
    trail.sealed(2, 3, 2)
    trail.tamper(f"DELETE FROM audit_seals {SEAL}", number=2)
    assert ("seal_missing", 2, 3, 5) in trail.found()


def test_a_doubled_record_is_found(trail: Trail) -> None:
    trail.sealed(3)
    trail.tamper(
        "INSERT INTO audit_records SELECT organization_id, sequence, uuidv7(), id, project_id, recorded_at, action,"
        " subject_id, actor_kind, actor_id, attempt, payload_digest, detail, leaf FROM audit_records"
        f" {RECORD}",
        sequence=2,
    )
    assert trail.found() == [("record_duplicated", 1, 2, 2)]


def cut(trail: Trail, keep: int) -> None:
    trail.tamper(f"DELETE FROM audit_records {WHERE} AND sequence > %(keep)s", keep=keep)
    trail.tamper(f"DELETE FROM audit_seals {WHERE} AND last_sequence > %(keep)s", keep=keep)


def test_a_cut_off_tail_is_found_by_the_anchor(trail: Trail, tmp_path: Path) -> None:
    blobs = LocalBlobStore(tmp_path)
    trail.sealed(3, 4)
    export_once(trail.database, blobs)
    trail.sealed(2)
    export_once(trail.database, blobs)
    known = anchors.read_anchors(blobs, trail.organization_id)
    assert [key.rpartition("/")[2] for key, _ in known] == ["000000000002.json", "000000000003.json"]
    report = trail.verify(anchors=known)
    assert report.is_intact
    assert (report.anchors, report.anchored_through) == (2, 3)

    cut(trail, 7)
    assert trail.found() == [], "without anchors a shorter chain is a chain"
    assert trail.found(anchors=known) == [("chain_cut", 3, 8, 9)]
    cut(trail, 3)
    assert trail.found(anchors=known) == [("chain_cut", 2, 4, 7), ("chain_cut", 2, 4, 9)]


def test_a_chain_written_again_with_the_right_key_is_found_by_the_anchor(trail: Trail, tmp_path: Path) -> None:
    blobs = LocalBlobStore(tmp_path)
    trail.sealed(3, 4)
    export_once(trail.database, blobs)
    known = anchors.read_anchors(blobs, trail.organization_id)
    cut(trail, 3)
    trail.sealed(4)
    assert trail.found() == []
    assert trail.found(anchors=known) == [("chain_replaced", 2, None, None)]


def test_a_whole_trail_that_vanished_is_found_by_the_anchor(trail: Trail, tmp_path: Path) -> None:
    blobs = LocalBlobStore(tmp_path)
    trail.sealed(3)
    export_once(trail.database, blobs)
    known = anchors.read_anchors(blobs, trail.organization_id)
    cut(trail, 0)
    assert anchors.anchored_organizations(blobs) == [trail.organization_id]
    assert trail.found(anchors=known) == [("chain_cut", 1, 1, 3)]


def test_an_anchor_that_no_one_signed_proves_nothing(trail: Trail, tmp_path: Path) -> None:
    trail.sealed(1)
    forged = {**trail.seals()[0].document(), "number": 9}
    assert [kind for kind, *_ in trail.found(anchors=[("a", forged), ("b", None)])] == ["anchor_unreadable"] * 2


def test_verification_goes_on_where_it_stopped(trail: Trail) -> None:
    trail.sealed(5, 5, 5, 5)
    first = trail.verify(max_records=8)
    assert (first.records, first.last_seal, first.next_after_seal) == (10, 2, 2)
    trail.tamper(f"UPDATE audit_records SET action = 'x' {RECORD}", sequence=18)
    rest = trail.verify(after_seal=2)
    assert (rest.records, rest.first_seal, rest.last_seal, rest.next_after_seal) == (10, 3, 4, None)
    assert [each.kind for each in rest.findings] == [Kind.RECORD_ALTERED]
    assert trail.found(after_seal=99) == [("seal_missing", 99, None, None)]


def test_retired_records_may_be_gone_and_others_may_not(trail: Trail) -> None:
    trail.sealed(3)
    with trail.database.system() as session:
        moment = session.execute(text("SELECT clock_timestamp() + interval '1 second'")).scalar_one()
        assert retention.retire_before(session, trail.signer, moment) >= 1
        assert retention.retire_before(session, trail.signer, moment) == 0
    trail.sealed(2)
    trail.tamper(f"DELETE FROM audit_records {WHERE} AND sequence <= 3")
    report = trail.verify()
    assert report.is_intact
    assert (report.retired_seals, report.records) == (1, 2)

    trail.tamper(f"UPDATE audit_retirements SET through_number = 2 {WHERE}")
    trail.tamper(f"DELETE FROM audit_records {WHERE} AND sequence > 3")
    kinds = [kind for kind, *_ in trail.found()]
    assert kinds == ["seal_forged", "record_missing", "record_missing"]


def test_a_report_of_a_ruined_table_stays_short(trail: Trail, monkeypatch: pytest.MonkeyPatch) -> None:
    trail.sealed(300)
    trail.tamper(f"UPDATE audit_records SET action = 'x' {WHERE}")
    assert len(trail.verify().findings) == verification.FINDINGS_MAX


def test_keys_that_were_retired_still_verify(database: Database) -> None:
    old = Trail(database)
    old.sealed(2)
    new = Trail(database, new_signer(), old.organization_id, old.project_id)
    new.sealed(2)
    assert [kind for kind, *_ in new.found()] == ["key_unknown"]
    both = Keyring([new.signer.public_key, old.signer.public_key])
    with database.tenant(old.organization_id) as session:
        assert verify(session, old.organization_id, both).is_intact
