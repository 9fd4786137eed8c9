"""The token map of a job tree: one token a value, agreed on in races, sealed, erasable, and deleted with its job."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from uuid import UUID

import pytest
from pydantic import SecretStr
from sqlalchemy import text

from core.audit.actions import AuditAction
from core.audit.record import Actor
from core.guard.pseudonyms import PseudonymKeys, Pseudonyms
from core.guard.tokens import TOKEN, Token
from core.jobs.retention.service import RetentionService
from core.kit.blob import open_blob_store
from core.kit.errors import CapabilityFailure
from core.kit.ids import new_id
from core.kit.settings import Settings
from tests.factories.attempts import Attempt, worker_services
from tests.factories.jobs import Tenant, new_tenant
from tests.factories.tenancy import audit_trail, watch_single_statements


@pytest.fixture
def tenant(settings: Settings) -> Iterator[Tenant]:
    made = new_tenant(settings)
    yield made
    made.close()


@pytest.fixture
def keys(settings: Settings) -> PseudonymKeys:
    return PseudonymKeys(settings)


def map_of(tenant: Tenant, keys: PseudonymKeys, root: UUID) -> Pseudonyms:
    organization = tenant.principal.organization_id
    return Pseudonyms(tenant.database.single_tenant(organization), keys, organization, root)


def test_spellings_of_one_value_share_a_token_which_restores_the_first(tenant: Tenant, keys: PseudonymKeys) -> None:
    names = map_of(tenant, keys, new_id())
    assert names.name("person", "Anna Schmidt") == "<PERSON_1>"
    assert {names.name("person", each) for each in ("anna schmidt", "Anna \n Schmidt", "ANNA SCHMIDT")} == {
        "<PERSON_1>"
    }
    assert names.name("person", "Ben Okafor") == "<PERSON_2>"
    assert names.name("phone", "+49 30 1234-567") == names.name("phone", "+49301234567") == "<PHONE_1>"
    assert names.restore("Ask <PERSON_2> or <person_1> at <PHONE_1>, not <PERSON_9> or <PERSON_01>.") == (
        "Ask Ben Okafor or Anna Schmidt at +49 30 1234-567, not <PERSON_9> or <PERSON_01>."
    )


def test_later_jobs_of_the_tree_find_the_map_and_other_trees_do_not(
    settings: Settings, tenant: Tenant, keys: PseudonymKeys
) -> None:
    root = new_id()
    map_of(tenant, keys, root).name_all([("person", "Anna Schmidt"), ("email", "anna@example.org")])
    later = map_of(tenant, PseudonymKeys(settings), root)
    assert later.restore("<PERSON_1> <EMAIL_1>") == "Anna Schmidt anna@example.org"
    assert later.name("person", "anna schmidt") == "<PERSON_1>"
    assert map_of(tenant, keys, new_id()).restore("<PERSON_1>") == "<PERSON_1>"
    stranger = new_tenant(settings)
    try:
        assert map_of(stranger, keys, root).restore("<PERSON_1>") == "<PERSON_1>"
    finally:
        stranger.close()


def test_all_new_values_of_a_call_are_one_round_trip_and_known_ones_none(
    tenant: Tenant, keys: PseudonymKeys, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = map_of(tenant, keys, new_id())
    seen = watch_single_statements(tenant.database, monkeypatch, "guard_pseudonyms")
    people = [("person", f"Person {number}") for number in range(200)]
    names.name_all(people)
    assert [names.name(*each) for each in people] == [f"<PERSON_{number}>" for number in range(1, 201)]
    assert names.value(Token("person", 7)) == "Person 6"
    assert len(seen) == 1


def test_jobs_that_race_agree_and_no_number_stands_for_two_values(tenant: Tenant, keys: PseudonymKeys) -> None:
    root, jobs = new_id(), 4
    people = [f"Person {number}" for number in range(12)]
    start = Barrier(jobs)

    def child(turn: int) -> dict[str, str]:
        names = map_of(tenant, keys, root)
        start.wait()
        order = people[turn:] + people[:turn]
        return {person: names.name("person", person) for person in order}

    with ThreadPoolExecutor(jobs) as pool:
        found = list(pool.map(child, range(0, 3 * jobs, 3)))
    assert all(each == found[0] for each in found)
    assert sorted(int(token[8:-1]) for token in found[0].values()) == list(range(1, 13))


def test_nothing_readable_is_stored(tenant: Tenant, keys: PseudonymKeys) -> None:
    root = new_id()
    map_of(tenant, keys, root).name("person", "Anna Schmidt")
    with tenant.database.system() as session:
        row = session.execute(text("SELECT * FROM guard_pseudonyms WHERE root_job_id = :root"), {"root": root}).one()
    assert b"Anna" not in bytes(row.sealed)
    other = new_id()
    with tenant.database.system() as session:
        # Sealed for its tree: in another one's row it does not open.
        session.execute(
            text("UPDATE guard_pseudonyms SET root_job_id = :other WHERE root_job_id = :root"),
            {"other": other, "root": root},
        )
    assert map_of(tenant, keys, other).restore("<PERSON_1>") == "<PERSON_1>"


def test_an_erased_value_is_not_restored_and_its_number_never_given_again(
    settings: Settings, tenant: Tenant, keys: PseudonymKeys
) -> None:
    roots = [new_id(), new_id()]
    for root in roots:
        map_of(tenant, keys, root).name_all([("person", "Anna Schmidt"), ("person", "Ben Okafor")])
    organization = tenant.principal.organization_id
    with tenant.database.tenant(organization) as session:
        assert keys.erase(session, organization, "ANNA schmidt", Actor("key", "key_1")) == 2
    for root in roots:
        names = map_of(tenant, keys, root)
        assert names.restore("<PERSON_1> and <PERSON_2>") == "<PERSON_1> and Ben Okafor"
        assert names.name("person", "Anna Schmidt") == "<PERSON_3>"
    [erased] = [row for row in audit_trail(settings, organization) if row["action"] == AuditAction.PSEUDONYM_ERASE]
    assert erased["detail"] == {"pseudonyms": 2, "job_trees": 2}
    assert len(erased["payload_digest"]) == 32
    assert "nna" not in str(erased)


def test_a_new_key_knows_what_the_old_one_has_sealed(settings: Settings, tenant: Tenant) -> None:
    root, organization = new_id(), tenant.principal.organization_id
    old = settings.model_copy(update={"pseudonym_key": SecretStr("o" * 40)})
    both = settings.model_copy(update={"pseudonym_keys_retired": [SecretStr("o" * 40)]})
    map_of(tenant, PseudonymKeys(old), root).name_all([("person", "Anna Schmidt"), ("phone", "+49 30 1234567")])
    names = map_of(tenant, PseudonymKeys(both), root)
    assert [names.name("person", each) for each in ("Ben Okafor", "anna schmidt")] == ["<PERSON_2>", "<PERSON_1>"]
    with tenant.database.system() as session:
        assert PseudonymKeys(both).reseal(session) >= 3
    keys = PseudonymKeys(settings)
    assert map_of(tenant, keys, root).restore("<PERSON_1>, <PHONE_1>") == "Anna Schmidt, +49 30 1234567"
    with tenant.database.tenant(organization) as session:
        assert keys.erase(session, organization, "Anna Schmidt", Actor("system")) == 1


@pytest.mark.parametrize("key", [None, "too short"])
def test_without_its_key_nothing_is_named_found_or_hashed(settings: Settings, tenant: Tenant, key: str | None) -> None:
    root, value = new_id(), "Anna Schmidt"
    map_of(tenant, PseudonymKeys(settings), root).name("person", value)
    keyless = settings.model_copy(update={"pseudonym_key": key and SecretStr(key)})
    names = map_of(tenant, PseudonymKeys(keyless), root)
    assert names.restore("nobody's") == "nobody's"
    asked: list[Callable[[], str]] = [
        lambda: names.name("person", value),
        lambda: names.digest("person", value),
        lambda: names.restore("<PERSON_1>"),
    ]
    for ask in asked:
        with pytest.raises(CapabilityFailure, match="set WAYBILL_PSEUDONYM_KEY to at least 32") as refused:
            ask()
        assert (refused.value.code, refused.value.retryable) == ("guard_key_missing", False)
        assert value not in refused.value.detail


def test_the_map_is_deleted_with_the_payloads_of_the_trees_first_job(
    settings: Settings, tenant: Tenant, keys: PseudonymKeys
) -> None:
    job_id, other = tenant.submit(), new_id()
    with worker_services(settings) as services:
        Attempt(services, job_id).succeed(said="fine")
    for root in (job_id, other):
        map_of(tenant, keys, root).name("person", "Anna Schmidt")
    with tenant.database.tenant(tenant.principal.organization_id) as session:
        RetentionService(settings).erase(session, tenant.principal, open_blob_store(settings), job_id)
    assert map_of(tenant, keys, job_id).restore("<PERSON_1>") == "<PERSON_1>"
    assert map_of(tenant, keys, other).restore("<PERSON_1>") == "Anna Schmidt"


def test_a_token_is_a_kind_and_a_number() -> None:
    assert str(Token("date_of_birth", 12)) == "<DATE_OF_BIRTH_12>"
    assert TOKEN.fullmatch("<A_1_2>") is not None
    assert TOKEN.search("<PERSON> <_1> <PERSON_> <PERSON_0> <1_1> < PERSON_1>") is None
