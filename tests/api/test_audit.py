import secrets
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import text

from core.audit import merkle, sealer
from core.audit.actions import AuditAction
from core.audit.documents import is_signed, leaf_of
from core.audit.export import export_once
from core.audit.record import Actor, Personal, record
from core.jobs.receipts.checks import check, holds
from core.keys.service import IssuedKey
from core.kit.ids import JOB, PROJECT, decode, encode
from core.kit.money import to_money
from core.kit.signing import Keyring, Signer
from core.ledger import service as ledger
from core.ledger.records import CallIdentity, Settlement, Unit
from tests.factories.api import RunningApi, issue_key
from tests.factories.attempts import attempt as driven

pytestmark = pytest.mark.own_database

READ = ("audit:read", "jobs:read", "jobs:write")
NOOP = {"capability": "probe.act", "input": {"act": "noop"}}


@pytest.fixture
def key(api: RunningApi) -> IssuedKey:
    """The key of a fresh organisation."""
    return issue_key(api.settings, organization=f"org-{secrets.token_hex(4)}")


@pytest.fixture
def mine(api: RunningApi, key: IssuedKey) -> Iterator[httpx.Client]:
    with api.client(key) as opened:
        yield opened


def write(
    api: RunningApi,
    key: IssuedKey,
    action: AuditAction = AuditAction.POLICY_DECIDE,
    *,
    subject: str = "job_x",
    project: UUID | None = None,
    personal: Personal | None = None,
    **detail: Any,
) -> None:
    with api.runtime.database.tenant(key.organization_id) as session:
        record(
            session,
            key.organization_id,
            project or key.project_id,
            action,
            subject_id=subject,
            actor=Actor("worker", "w-1"),
            detail=detail,
            personal=personal,
        )


def seal(api: RunningApi) -> None:
    while sealer.seal_once(api.runtime.database, Signer.from_settings(api.settings)):
        pass


def all_pages(client: httpx.Client, path: str, **params: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    cursor = None
    while True:
        page = client.get(path, params={**params, **({"cursor": cursor} if cursor else {})}).json()
        found += page["data"]
        cursor = page["next_cursor"]
        if cursor is None:
            return found


def test_records_are_found_by_actor_subject_action_and_time(
    api: RunningApi, key: IssuedKey, mine: httpx.Client
) -> None:
    for number in range(5):
        write(api, key, subject=f"job_{number}", number=number)
    seal(api)
    write(api, key, AuditAction.TOOL_CALL, subject="job_4")
    listed = all_pages(mine, "/v1/audit", limit=2)
    by_us = [each for each in listed if each["actor_id"] == "w-1"]
    assert [each["sequence"] is None for each in by_us] == [True] + [False] * 5
    assert [each["id"] for each in listed] == sorted((each["id"] for each in listed), reverse=True)

    def found(**params: Any) -> list[str]:
        return [each["subject_id"] for each in all_pages(mine, "/v1/audit", **params)]

    assert found(actor="w-1", action="worker:tool:call") == ["job_4"]
    assert found(subject="job_4") == ["job_4", "job_4"]
    assert found(actor="nobody") == []
    assert found(action=["worker:tool:call", "policy:decision:make"], limit=1)[0] == "job_4"
    moment = by_us[2]["recorded_at"]
    assert found(actor="w-1", recorded_after=moment) == ["job_4", "job_4", "job_3"]
    assert found(actor="w-1", recorded_before=moment) == ["job_2", "job_1", "job_0"]
    assert mine.get("/v1/audit", params={"cursor": "x"}).status_code == 422


def test_a_project_sees_its_own_records_and_the_organisation_those_of_all(api: RunningApi, key: IssuedKey) -> None:
    with api.runtime.database.system() as session:
        name = session.execute(
            text("SELECT name FROM organizations WHERE id = :id"), {"id": key.organization_id}
        ).scalar_one()
    beside = issue_key(api.settings, organization=name, project="beside", scopes=READ)
    auditor = issue_key(api.settings, organization=name, project="audits", scopes=("audit:read", "organization:read"))
    stranger = issue_key(api.settings, organization="strangers", scopes=("audit:read", "organization:read"))
    write(api, key, subject="ours")
    write(api, beside, subject="theirs")
    seal(api)
    record_id = None
    for who, seen in ((beside, {"theirs"}), (auditor, {"ours", "theirs"}), (stranger, set())):
        with api.client(who) as client:
            found = [each for each in all_pages(client, "/v1/audit") if each["actor_id"] == "w-1"]
            assert {each["subject_id"] for each in found} == seen
            record_id = next((each["id"] for each in found if each["subject_id"] == "ours"), record_id)
            if who is beside:
                refused = client.get("/v1/audit/verify")
                assert (refused.status_code, refused.json()["scope"]) == (403, "organization:read")
    for who, status in ((beside, 404), (auditor, 200), (stranger, 404)):
        with api.client(who) as client:
            assert client.get(f"/v1/audit/{record_id}/proof").status_code == status
    with api.client(issue_key(api.settings, scopes=("jobs:read",))) as client:
        assert client.get("/v1/audit").status_code == 403


def test_verification_says_that_all_is_well_and_where_it_is_not(
    api: RunningApi, key: IssuedKey, mine: httpx.Client
) -> None:
    for number in range(6):
        write(api, key, subject=f"job_{number}")
    seal(api)
    export_once(api.runtime.database, api.runtime.blobs)
    report = mine.get("/v1/audit/verify").json()
    assert (report["intact"], report["findings"], report["waiting"]) == (True, [], 0)
    assert report["records"] >= 6
    assert (report["anchors"], report["anchored_through"]) == (1, report["last_seal"])
    broken = report["last_sequence"] - 1
    with api.runtime.database.engine.begin() as connection:
        connection.execute(text("SET LOCAL session_replication_role = replica"))
        connection.execute(
            text("UPDATE audit_records SET subject_id = 'other' WHERE organization_id = :org AND sequence = :sequence"),
            {"org": key.organization_id, "sequence": broken},
        )
    report = mine.get("/v1/audit/verify").json()
    assert report["intact"] is False
    assert [(each["kind"], each["first_sequence"]) for each in report["findings"]] == [("record_altered", broken)]
    write(api, key)
    seal(api)
    first = mine.get("/v1/audit/verify", params={"most_records": 1}).json()
    rest = mine.get("/v1/audit/verify", params={"after_seal": first["next_after_seal"]}).json()
    assert (rest["first_seal"], rest["next_after_seal"]) == (first["last_seal"] + 1, None)


def test_a_proof_needs_nothing_but_the_answer_and_the_public_keys(
    api: RunningApi, key: IssuedKey, mine: httpx.Client
) -> None:
    write(api, key, fraction=0.25)
    newest = mine.get("/v1/audit").json()["data"][0]
    waits = mine.get(f"/v1/audit/{newest['id']}/proof")
    assert (waits.status_code, waits.json()["code"], waits.headers["retry-after"]) == (
        409,
        "audit_record_not_sealed",
        "1",
    )
    seal(api)
    proof = mine.get(f"/v1/audit/{newest['id']}/proof").json()
    siblings = [bytes.fromhex(node) for node in proof["path"]]
    root = merkle.root_of_path(leaf_of(proof["record"]), proof["leaf_index"], proof["tree_size"], siblings)
    assert root is not None
    assert root.hex() == proof["seal"]["root"]
    with api.client("") as anybody:
        answer = anybody.get("/.well-known/jwks.json")
    assert answer.headers["cache-control"] == "public, max-age=300"
    assert [(each["kty"], each["crv"]) for each in answer.json()["keys"]] == [("OKP", "Ed25519")]
    assert is_signed(Keyring.from_jwks(answer.json()), proof["seal"])
    assert proof["record"]["detail"] == {"fraction": "0.25"}


def test_a_person_is_erased_and_the_trail_verifies(api: RunningApi, key: IssuedKey, mine: httpx.Client) -> None:
    write(
        api, key, subject="mem_1", personal=Personal("ada", {"email": "ada@example.org", "name": "Ada"}), role="owner"
    )
    write(api, key, subject="mem_2", personal=Personal("bob", {"email": "bob@example.org"}))
    seal(api)

    def personal(subject: str) -> Any:
        return mine.get("/v1/audit", params={"subject": subject}).json()["data"][0]["personal"]

    assert personal("mem_1") == {"email": "ada@example.org", "name": "Ada"}
    done = mine.post("/v1/audit/erasures", json={"data_subject": "ada"}, headers={"Idempotency-Key": "once"})
    assert (done.status_code, done.json()["erased_values"]) == (200, 2)
    again = mine.post("/v1/audit/erasures", json={"data_subject": "ada"}, headers={"Idempotency-Key": "once"})
    assert again.headers["idempotent-replayed"] == "true"
    assert personal("mem_1") == {"email": None, "name": None}
    assert personal("mem_2") == {"email": "bob@example.org"}
    erased = mine.get("/v1/audit", params={"action": "api:audit:erase"}).json()["data"]
    assert [each["detail"] for each in erased] == [{"erased_values": 2}]
    assert erased[0]["subject_id"] == done.json()["id"]
    seal(api)
    assert mine.get("/v1/audit/verify").json()["intact"] is True
    with api.runtime.database.engine.connect() as connection:
        rows = connection.execute(
            text(
                "SELECT to_jsonb(r)::text FROM audit_records r UNION ALL SELECT to_jsonb(p)::text FROM audit_personal p"
            )
        ).scalars()
        assert not any("ada@example.org" in row for row in rows)
    with api.client(issue_key(api.settings, scopes=("audit:read",))) as client:
        assert client.post("/v1/audit/erasures", json={"data_subject": "bob"}).status_code == 403


def finish(api: RunningApi, key: IssuedKey, job: str) -> None:
    """Run the job to its end, with a step and two model calls that cost something."""
    job_id = decode(JOB, job)
    with driven(api.settings, job) as attempt:
        with attempt.context.step("think"):
            single = api.runtime.database.single_tenant(key.organization_id)
            for number, cost in ((1, "0.000000125"), (2, "1.5")):
                call = CallIdentity(job_id, 1, number)
                ledger.begin_call(single, call, bound_usd=to_money("2"), provider="acme", model="large", step="think")
                settled = Settlement(
                    to_money(cost), {Unit.INPUT_TOKENS: 10 * number}, {Unit.INPUT_TOKENS: to_money(cost)}
                )
                ledger.settle_call(single, call, settled, {})
        attempt.succeed(said="done", note="")


def test_the_waybill_of_a_job_tells_its_story_and_proves_it(
    api: RunningApi, key: IssuedKey, mine: httpx.Client
) -> None:
    submitted = mine.post("/v1/jobs", json={**NOOP, "metadata": {"customer": "Ada Lovelace"}}).json()
    path = f"/v1/jobs/{submitted['id']}/waybill"
    early = mine.get(path)
    assert (early.status_code, early.json()["code"]) == (409, "job_not_finished")
    write(api, key, AuditAction.POLICY_DECIDE, subject=submitted["id"], decision="allow")
    finish(api, key, submitted["id"])

    waiting = mine.get(path)
    assert waiting.headers["retry-after"] == "1"
    assert len(waiting.json()["audit"]["unsealed"]) == 6
    seal(api)
    answer = mine.get(path)
    assert "retry-after" not in answer.headers
    waybill = answer.json()
    assert "Lovelace" not in answer.text
    assert (waybill["job"]["state"], waybill["job"]["attempts"]) == ("succeeded", 1)
    assert waybill["project_id"] == encode(PROJECT, key.project_id)
    attempt = waybill["attempts"][0]
    assert (attempt["outcome"], [step["step"] for step in attempt["steps"]]) == ("job.succeeded", ["think"])
    assert attempt["steps"][0]["finished_at"] is not None
    assert waybill["models"] == [
        {
            "provider": "acme",
            "model": "large",
            "model_version": None,
            "calls": 2,
            "quantities": {"input_tokens": 30},
            "cost_usd": "1.500000125",
            "priced": True,
        }
    ]
    assert (waybill["costs"]["total_usd"], len(waybill["costs"]["lines"])) == ("1.500000125", 2)
    assert [each["detail"] for each in waybill["policy_decisions"]] == [{"decision": "allow"}]
    assert [each["record"]["action"] for each in waybill["audit"]["records"]] == [
        "api:job:submit",
        "policy:decision:make",
        "worker:job:claim",
        "worker:model:call",
        "worker:model:call",
        "worker:job:succeed",
    ]
    result = mine.get(f"/v1/jobs/{submitted['id']}").json()["result"]
    checks = check(waybill, api.runtime.keyring, given=NOOP["input"], result=result)
    assert holds(checks), checks
    assert all(each.holds for each in checks), checks


def test_a_jobs_records_are_listed_oldest_first_and_by_the_page(
    api: RunningApi, key: IssuedKey, mine: httpx.Client
) -> None:
    job = mine.post("/v1/jobs", json=NOOP).json()["id"]
    for number in range(4):
        write(api, key, subject=job, number=number)
    found = all_pages(mine, f"/v1/jobs/{job}/audit", limit=2)
    assert [each["action"] for each in found] == ["api:job:submit", *["policy:decision:make"] * 4]
    assert [each["detail"].get("number") for each in found[1:]] == [0, 1, 2, 3]
    with api.client(issue_key(api.settings, organization="elsewhere")) as stranger:
        assert stranger.get(f"/v1/jobs/{job}/audit").status_code == 404
        assert stranger.get(f"/v1/jobs/{job}/waybill").status_code == 404
