from collections.abc import Iterator
from datetime import timedelta

import pytest
from sqlalchemy import text

from core.keys.errors import IdempotencyInProgress, IdempotencyKeyInvalid, IdempotencyKeyReused
from core.keys.idempotency import Answer, IdempotentRequest, answer_once, begin, finish, identify
from core.keys.principal import Principal
from core.kit.db import Database
from core.kit.ids import new_id
from core.kit.settings import Settings

DAY = timedelta(days=1)


@pytest.fixture
def database(settings: Settings) -> Iterator[Database]:
    opened = Database(settings, application_name="test", pool_size=3)
    yield opened
    opened.close()


@pytest.fixture
def principal() -> Principal:
    return Principal(new_id(), new_id(), None, frozenset())


def request(key: str = "k", body: bytes = b"{}") -> IdempotentRequest:
    made = identify(key, b"POST", b"/v1/x", body)
    assert made is not None
    return made


def test_a_request_without_a_key_has_no_identity() -> None:
    assert identify(None, b"POST") is None


def test_parts_cannot_be_shifted_into_each_other() -> None:
    one, other = identify("k", b"ab", b"c"), identify("k", b"a", b"bc")
    assert one is not None
    assert other is not None
    assert one.digest != other.digest


@pytest.mark.parametrize("key", ["", " a", "a ", "a\n", "\x7f", "é", "x" * 256])
def test_bad_keys(key: str) -> None:
    with pytest.raises(IdempotencyKeyInvalid):
        identify(key, b"")


@pytest.mark.parametrize("key", ["a", "a b", "!", "~" * 255])
def test_good_keys(key: str) -> None:
    assert identify(key, b"") is not None


def test_the_first_answer_is_kept_with_what_it_reports(database: Database, principal: Principal) -> None:
    calls: list[int] = []

    def produce() -> Answer:
        calls.append(1)
        return Answer(202, b"body", "/v1/x/1")

    for _ in range(2):
        with database.tenant(principal.organization_id) as session:
            answer = answer_once(session, principal, request(), DAY, produce)
    assert calls == [1]
    assert answer == Answer(202, b"body", "/v1/x/1", is_replayed=True)
    with pytest.raises(IdempotencyKeyReused), database.tenant(principal.organization_id) as session:
        answer_once(session, principal, request(body=b"[]"), DAY, produce)


def test_nothing_is_kept_when_the_work_fails(database: Database, principal: Principal) -> None:
    def fail() -> Answer:
        raise RuntimeError("half-way")

    with pytest.raises(RuntimeError), database.tenant(principal.organization_id) as session:
        answer_once(session, principal, request(), DAY, fail)
    with database.tenant(principal.organization_id) as session:
        assert begin(session, principal, request()) is None


def test_a_second_request_is_turned_away_while_the_first_works(database: Database, principal: Principal) -> None:
    with database.tenant(principal.organization_id) as first:
        assert begin(first, principal, request()) is None
        with pytest.raises(IdempotencyInProgress), database.tenant(principal.organization_id) as second:
            begin(second, principal, request())
        with database.tenant(principal.organization_id) as third:
            assert begin(third, principal, request("another")) is None


def test_the_one_that_comes_second_to_the_commit_gives_way(database: Database, principal: Principal) -> None:
    # What happens when the first commits between the other's snapshot and its lock.
    with database.tenant(principal.organization_id) as session:
        finish(session, principal, request(), Answer(202, b"first"), DAY)
    with pytest.raises(IdempotencyInProgress), database.tenant(principal.organization_id) as session:
        finish(session, principal, request(), Answer(202, b"second"), DAY)
    with database.tenant(principal.organization_id) as session:
        kept = begin(session, principal, request())
    assert kept is not None
    assert kept.body == b"first"


def test_an_expired_answer_makes_room(database: Database, principal: Principal) -> None:
    with database.tenant(principal.organization_id) as session:
        finish(session, principal, request(), Answer(202, b"first"), DAY)
    with database.system() as session:
        session.execute(text("UPDATE idempotency_keys SET expires_at = now()"))
    with database.tenant(principal.organization_id) as session:
        assert answer_once(session, principal, request(body=b"new"), DAY, lambda: Answer(202, b"x")).body == b"x"
    with database.tenant(principal.organization_id) as session:
        kept = begin(session, principal, request(body=b"new"))
    assert kept is not None
    assert kept.body == b"x"
