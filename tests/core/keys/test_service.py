import time
from collections.abc import Iterator
from datetime import timedelta

import pytest
from pydantic import SecretStr
from sqlalchemy import text

from core.keys.authentication import Authenticator
from core.keys.errors import KeyExpired, KeyRevoked, KeyUnknown
from core.keys.hashing import generate_key
from core.keys.scopes import WORKING_SCOPES
from core.keys.service import IssuedKey, KeyService
from core.kit.db import Database
from core.kit.errors import NotFound, Unauthenticated, Unprocessable
from core.kit.ids import new_id
from core.kit.settings import Settings
from tests.factories.tenancy import watch_single_statements
from tests.factories.waiting import wait_until

pytestmark = pytest.mark.own_database


@pytest.fixture
def database(settings: Settings) -> Iterator[Database]:
    opened = Database(settings, application_name="test", pool_size=2)
    yield opened
    opened.close()


@pytest.fixture
def service(settings: Settings) -> KeyService:
    return KeyService(settings)


@pytest.fixture
def authenticator(settings: Settings, database: Database) -> Authenticator:
    return Authenticator(settings, database)


@pytest.fixture
def statements(database: Database, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The look-ups of keys, as they are sent to the server."""
    return watch_single_statements(database, monkeypatch, "key.hash = ")


def issue(database: Database, service: KeyService, **more: object) -> IssuedKey:
    given = {"organization": "acme", "project": "p", "name": "n", **more}
    with database.system() as session:
        return service.create_key(session, **given)  # type: ignore[arg-type]


def test_a_key_speaks_for_its_project(database: Database, service: KeyService, authenticator: Authenticator) -> None:
    key = issue(database, service, scopes=("jobs:read", "jobs:write"))
    principal = authenticator.authenticate(key.plaintext)
    assert principal.organization_id == key.organization_id
    assert principal.project_id == key.project_id
    assert principal.key_id == key.id
    assert principal.scopes == {"jobs:read", "jobs:write"}


def test_organisation_and_project_are_made_once(database: Database, service: KeyService) -> None:
    one, two = issue(database, service), issue(database, service)
    other = issue(database, service, project="q")
    foreign = issue(database, service, organization="b", project="p")
    assert (one.organization_id, one.project_id) == (two.organization_id, two.project_id)
    assert other.organization_id == one.organization_id
    assert other.project_id != one.project_id
    assert foreign.project_id != one.project_id
    assert one.id != two.id
    assert one.scopes == tuple(sorted(WORKING_SCOPES))


def test_only_the_keyed_hash_is_stored(database: Database, service: KeyService) -> None:
    key = issue(database, service)
    with database.system() as session:
        row = session.execute(text("SELECT api_keys.*::text FROM api_keys WHERE id = :id"), {"id": key.id}).scalar_one()
    assert key.prefix in row
    assert key.plaintext not in row
    assert key.plaintext.removeprefix(key.prefix + "_") not in row


@pytest.mark.parametrize(
    "changes",
    [
        {"scopes": ("capability:search",)},
        {"scopes": ("jobs:read", "everything")},
        {"name": " "},
        {"organization": ""},
        {"project": "a\x00b"},
        {"expires_in": timedelta(0)},
    ],
)
def test_what_cannot_be_issued(database: Database, service: KeyService, changes: dict[str, object]) -> None:
    with pytest.raises(Unprocessable):
        issue(database, service, **changes)


def test_garbage_never_reaches_the_database(authenticator: Authenticator, statements: list[str]) -> None:
    for garbage in ("", "nonsense", generate_key().plaintext[:-1] + "!", "wb_live_" + "0" * 62):
        with pytest.raises(KeyUnknown):
            authenticator.authenticate(garbage)
    assert statements == []


def test_a_key_is_looked_up_once_and_remembered(
    database: Database, service: KeyService, authenticator: Authenticator, statements: list[str]
) -> None:
    key = issue(database, service)
    assert authenticator.recall(key.plaintext) is None
    found = authenticator.authenticate(key.plaintext)
    for _ in range(50):
        assert authenticator.recall(key.plaintext) is found
        assert authenticator.authenticate(key.plaintext) is found
    assert len(statements) == 1


def test_unknown_keys_are_remembered_too_but_only_so_many(
    authenticator: Authenticator, statements: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.keys.authentication._REFUSED_KEYS_MAX", 10)
    plaintext = generate_key().plaintext
    for _ in range(5):
        with pytest.raises(KeyUnknown):
            authenticator.authenticate(plaintext)
    assert len(statements) == 1
    for _ in range(30):
        with pytest.raises(KeyUnknown):
            authenticator.authenticate(generate_key().plaintext)
    assert len(authenticator._refused) <= 10


def refusal(authenticator: Authenticator, plaintext: str) -> str | None:
    try:
        authenticator.authenticate(plaintext)
    except Unauthenticated as refused:
        return refused.code
    return None


def test_a_revoked_key_stops_within_two_seconds(
    database: Database, service: KeyService, authenticator: Authenticator
) -> None:
    key = issue(database, service)
    authenticator.authenticate(key.plaintext)
    with database.system() as session:
        service.revoke_key(session, key.organization_id, key.id)
    took = wait_until(
        lambda: refusal(authenticator, key.plaintext) == "key_revoked",
        timeout_seconds=5,
        what="the refusal",
        pause_seconds=0.02,
    )
    assert took <= 2.0
    with pytest.raises(KeyRevoked):
        authenticator.authenticate(key.plaintext)
    with database.system() as session:
        service.revoke_key(session, key.organization_id, key.id)


def test_an_expired_key_is_told_apart(database: Database, service: KeyService, authenticator: Authenticator) -> None:
    key = issue(database, service, expires_in=timedelta(seconds=2))
    assert refusal(authenticator, key.plaintext) is None
    wait_until(lambda: refusal(authenticator, key.plaintext) == "key_expired", timeout_seconds=15, what="the expiry")
    with pytest.raises(KeyExpired):
        authenticator.authenticate(key.plaintext)


def test_a_key_issued_after_it_was_tried_is_accepted_soon(
    settings: Settings, database: Database, service: KeyService, authenticator: Authenticator
) -> None:
    key = issue(database, service)
    with database.system() as session:
        session.execute(text("UPDATE api_keys SET hash = '\\x00' || substr(hash, 2) WHERE id = :id"), {"id": key.id})
    assert refusal(authenticator, key.plaintext) == "key_unknown"
    with database.system() as session:
        digest = authenticator._hasher.digest(key.plaintext)
        session.execute(text("UPDATE api_keys SET hash = :hash WHERE id = :id"), {"hash": digest, "id": key.id})
    wait_until(lambda: refusal(authenticator, key.plaintext) is None, timeout_seconds=3, what="acceptance")


def test_a_new_secret_key_keeps_the_keys_of_the_old_one(
    settings: Settings, database: Database, service: KeyService
) -> None:
    key = issue(database, service)
    assert settings.secret_key is not None
    renewed = settings.model_copy(update={"secret_key": SecretStr("n" * 40)})
    assert refusal(Authenticator(renewed, database), key.plaintext) == "key_unknown"
    both = renewed.model_copy(update={"secret_keys_retired": [settings.secret_key]})
    assert Authenticator(both, database).authenticate(key.plaintext).key_id == key.id
    # It was stored anew: once every key has been used, the old secret key can go.
    assert Authenticator(renewed, database).authenticate(key.plaintext).key_id == key.id
    assert refusal(Authenticator(settings, database), key.plaintext) == "key_unknown"


def test_a_foreign_key_cannot_be_revoked(database: Database, service: KeyService) -> None:
    key = issue(database, service)
    with pytest.raises(NotFound), database.system() as session:
        service.revoke_key(session, new_id(), key.id)


def test_a_tenant_sees_no_foreign_keys(database: Database, service: KeyService) -> None:
    mine, theirs = issue(database, service), issue(database, service, organization=f"other-{time.monotonic_ns()}")
    with database.tenant(mine.organization_id) as session:
        found = session.execute(text("SELECT organization_id FROM api_keys")).scalars().all()
    assert set(found) == {mine.organization_id}
    assert theirs.organization_id not in found
