import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from core.audit import sealer
from core.audit.documents import GENESIS, seal_hash
from core.audit.record import Personal
from core.kit.db import Database
from tests.factories.audit import Trail
from tests.factories.processes import ROOT
from tests.factories.waiting import wait_until


def test_records_move_into_a_contiguous_chain(trail: Trail) -> None:
    trail.sealed(3, 1, 5)
    seals = trail.seals()
    assert [(seal.number, seal.first_sequence, seal.last_sequence) for seal in seals] == [
        (1, 1, 3),
        (2, 4, 4),
        (3, 5, 9),
    ]
    assert [seal.previous_hash for seal in seals] == [GENESIS, seals[0].hash, seals[1].hash]
    assert all(seal_hash(seal.document()) == seal.hash for seal in seals)
    report = trail.verify()
    assert report.is_intact
    assert (report.records, report.seals, report.waiting, report.last_sequence) == (9, 3, 0, 9)
    assert report.head_hash == seals[-1].hash


def test_what_is_sealed_is_what_was_written(trail: Trail) -> None:
    trail.write("job_x", note="ä\u0001\U0001f600", fraction=0.1, big=2**60, nested={"b": [1, None, True], "a": {}})
    with trail.database.tenant(trail.organization_id) as session:
        written = session.execute(text("SELECT * FROM audit_inbox")).mappings().one()
        before = dict(written)
    trail.seal()
    with trail.database.tenant(trail.organization_id) as session:
        after = dict(session.execute(text("SELECT * FROM audit_records")).mappings().one())
        view = dict(session.execute(text("SELECT * FROM audit_log")).mappings().one())
    assert {name: after[name] for name in before} == before == {name: view[name] for name in before}
    assert trail.verify().is_intact


def test_each_organization_has_a_chain_of_its_own(database: Database, trail: Trail) -> None:
    other = Trail(database, trail.signer)
    for _ in range(3):
        trail.write()
        other.write()
    assert trail.seal() == 6
    for each in (trail, other):
        assert [(seal.first_sequence, seal.last_sequence) for seal in each.seals()] == [(1, 3)]
        assert each.verify().is_intact


def test_two_sealers_at_once_make_one_chain(trail: Trail) -> None:
    trail.write_many(400)
    with ThreadPoolExecutor(4) as threads:
        sealed = sum(threads.map(lambda _: sealer.seal_once(trail.database, trail.signer, 7), range(200), timeout=60))
    sealed += trail.seal()
    assert sealed == 400
    report = trail.verify()
    assert report.is_intact
    assert report.records == 400


def test_a_sealer_killed_in_the_middle_leaves_everything_in_the_inbox(trail: Trail) -> None:
    trail.write_many(50)
    url = trail.database.url.set(drivername="postgresql").render_as_string(hide_password=False)
    code = f"""
import os
from pydantic import SecretStr
from core.audit import repository, sealer
from core.kit.db import Database
from core.kit.settings import Settings
from tests.factories.audit import new_signer
def die(session, seal):
    session.flush()
    os.kill(os.getpid(), 9)
repository.insert_seal = die
sealer.seal_once(Database(Settings(database_url=SecretStr({url!r})), application_name="doomed"), new_signer())
"""
    killed = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False, capture_output=True, timeout=60)
    assert killed.returncode == -9, killed.stderr.decode()[-800:]
    wait_until(lambda: trail.seal() == 50, timeout_seconds=20, what="the killed sealer's lock to be gone")
    report = trail.verify()
    assert report.is_intact
    assert report.records == 50


def test_a_record_that_commits_late_is_sealed_after_those_that_passed_it(trail: Trail) -> None:
    with trail.database.tenant(trail.organization_id) as slow:
        slow.execute(
            text(
                "INSERT INTO audit_inbox (organization_id, action, subject_id, actor_kind)"
                " VALUES (:organization, 'api:job:submit', 'late', 'key')"
            ),
            {"organization": trail.organization_id},
        )
        trail.write("early")
        assert trail.seal() == 1
    assert trail.seal() == 1
    with trail.database.tenant(trail.organization_id) as session:
        rows = session.execute(text("SELECT subject_id, id FROM audit_records ORDER BY sequence")).all()
    assert [row.subject_id for row in rows] == ["early", "late"]
    assert rows[0].id > rows[1].id
    assert trail.verify().is_intact


@pytest.mark.parametrize("table", ["audit_records", "audit_seals"])
@pytest.mark.parametrize("role", ["waybill_app", "waybill_system", "owner"])
@pytest.mark.parametrize("act", ["UPDATE {} SET organization_id = organization_id", "DELETE FROM {}", "TRUNCATE {}"])
def test_no_one_may_change_or_remove_what_is_sealed(trail: Trail, table: str, role: str, act: str) -> None:
    trail.sealed(2)
    with trail.database.engine.connect() as connection:
        if role != "owner":
            connection.execute(text(f"SET ROLE {role}"))
            connection.execute(text(f"SET waybill.organization_id = '{trail.organization_id}'"))
        with pytest.raises(DBAPIError) as refused:
            connection.execute(text(act.format(table)))
    reported = str(refused.value.orig)
    assert (
        ("append-only" in reported)
        if role == "owner"
        else ("permission denied" in reported or "append-only" in reported)
    )


def test_the_inbox_takes_records_and_gives_none_back_to_the_application(trail: Trail) -> None:
    trail.write()
    for act in ("UPDATE audit_inbox SET action = 'x'", "DELETE FROM audit_inbox", "INSERT INTO audit_records SELECT 1"):
        with pytest.raises(DBAPIError), trail.database.tenant(trail.organization_id) as session:
            session.execute(text(act))
    with pytest.raises(DBAPIError), trail.database.system() as session:
        session.execute(text("UPDATE audit_inbox SET action = 'x'"))


def test_a_tenant_sees_its_own_trail_only(database: Database, trail: Trail) -> None:
    trail.write("sealed", personal=Personal("ada", {"email": "ada@example.org"}))
    trail.seal()
    trail.write("waiting")
    stranger = Trail(database, trail.signer)
    with database.tenant(stranger.organization_id) as session:
        for table in ("audit_log", "audit_inbox", "audit_records", "audit_seals", "audit_personal"):
            assert session.execute(text(f"SELECT count(*) FROM {table}")).scalar_one() == 0, table
    with database.tenant(trail.organization_id) as session:
        seen = session.execute(text("SELECT organization_id FROM audit_log")).scalars().all()
    assert seen == [trail.organization_id] * 2


def test_records_of_a_seal_lie_in_one_partition(trail: Trail) -> None:
    trail.sealed(10)
    with trail.database.engine.connect() as connection:
        found = connection.execute(
            text(
                "SELECT DISTINCT seal_id, tableoid::regclass::text AS child FROM audit_records"
                " WHERE organization_id = :organization"
            ),
            {"organization": trail.organization_id},
        ).all()
    assert len(found) == 1
    seal_id: UUID = found[0].seal_id
    assert found[0].child.startswith("audit_records_2"), found
    assert seal_id == trail.seals()[0].id
