"""TLS to Postgres and Redis: a server is believed when an authority that we name vouches for the name we asked for."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from kombu.exceptions import OperationalError as BrokerDown
from psycopg_pool import PoolTimeout
from pydantic import SecretStr
from redis.exceptions import RedisError
from sqlalchemy import text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import OperationalError

from api.streaming import LiveHub
from core.kit.db import Database
from core.kit.redis import connect, connect_async
from core.kit.settings import Settings
from tests.factories.certificates import Authority
from tests.factories.entrances import TlsEntrance, through
from tests.factories.processes import settings_of
from waybill.stack.doctor import check_postgres, check_redis
from waybill.stack.valkey import EmbeddedValkey
from workers.app import create_app

# What a client names, and whether it then talks to the server.
TRUST = ["right", "wrong name", "wrong authority", "without TLS"]


@dataclass(frozen=True)
class Entrances:
    """The same server with a certificate for our name for it, and with one for another name."""

    right: str
    misnamed: str
    stranger: Path

    def address(self, trust: str, server: str) -> str:
        """The server's address for a client of that `trust`."""
        url = make_url(through(self.misnamed if trust == "wrong name" else self.right, server))
        if trust == "wrong authority":
            url = url.update_query_dict(
                {key: str(self.stranger) for key in url.query if key in {"sslrootcert", "ssl_ca_certs"}}
            )
        if trust == "without TLS":
            url = url.set(drivername=url.drivername.replace("rediss", "redis"), query={})
            if url.drivername == "postgresql":
                url = url.set(query={"sslmode": "disable"})
        return url.render_as_string(hide_password=False)


def entrances(folder: Path, port: int, kind: str) -> Iterator[Entrances]:
    opened = [TlsEntrance(folder / name, port, kind, [name]) for name in ("127.0.0.1", "elsewhere.test")]
    (folder / "stranger").mkdir()
    try:
        right, misnamed = (entrance.start() for entrance in opened)
        yield Entrances(right, misnamed, Authority(folder / "stranger").file)
    finally:
        for entrance in opened:
            entrance.stop()


@pytest.fixture(scope="module")
def to_postgres(postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Entrances]:
    yield from entrances(tmp_path_factory.mktemp("tls-postgres"), make_url(postgres_url).port or 5432, "postgres")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedValkey]:
    server = EmbeddedValkey(tmp_path_factory.mktemp("tls-valkey"))
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def to_redis(server: EmbeddedValkey, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Entrances]:
    yield from entrances(tmp_path_factory.mktemp("tls-redis"), server.port, "redis")


@pytest.mark.parametrize("trust", TRUST)
def test_every_way_to_postgres_verifies_who_answers(
    trust: str, settings: Settings, postgres_url: str, to_postgres: Entrances
) -> None:
    address = to_postgres.address(trust, postgres_url)
    ours = settings_of(settings, database_url=SecretStr(address), database_connect_timeout_seconds=1.0)
    [*_, last] = checks = check_postgres(ours)
    assert [_by_database(ours), _by_streams(ours)] == [trust == "right"] * 2
    if trust == "right":
        [tls] = [check for check in checks if check.name == "Postgres TLS"]
        assert tls.found == "the server's certificate is verified"
    else:
        assert last.status == "fail"


def _by_database(settings: Settings) -> bool:
    database = Database(settings, application_name="test", pool_size=1)
    try:
        with database.engine.connect() as connection:
            connection.execute(text("SELECT 1"))
    except OperationalError:
        return False
    finally:
        database.close()
    return True


def _by_streams(settings: Settings) -> bool:
    # redis-py does not wait for TLS to say goodbye when it unsubscribes, and the loop of a test ends before.
    without_redis = settings_of(settings, redis_url=SecretStr("redis://127.0.0.1:1/0"))

    async def ask() -> bool:
        hub = LiveHub(without_redis)
        await hub.open()
        try:
            async with hub.pool.connection() as connection:
                await connection.execute("SELECT 1")
        except PoolTimeout:
            return False
        finally:
            await hub.close()
        return True

    return asyncio.run(ask())


@pytest.mark.parametrize("trust", TRUST)
def test_every_way_to_redis_verifies_who_answers(
    trust: str, settings: Settings, server: EmbeddedValkey, to_redis: Entrances
) -> None:
    address = to_redis.address(trust, server.url)
    # On a busy machine a handshake takes longer than two seconds, and one that is given up leaves its socket behind.
    ours = settings_of(settings, redis_url=SecretStr(address), redis_timeout_seconds=10.0)
    assert [_by_client(ours), _by_async_client(ours), _by_celery(ours)] == [trust == "right"] * 3
    checks = {check.name: check for check in check_redis(ours)}
    if trust == "right":
        assert checks["Redis TLS"].found == "the server's certificate is verified"
    else:
        assert checks["Redis"].status == "fail"


def _by_client(settings: Settings) -> bool:
    try:
        with connect(settings) as client:
            client.ping()
    except RedisError:
        return False
    return True


def _by_async_client(settings: Settings) -> bool:
    async def ask() -> bool:
        client = connect_async(settings)
        try:
            await client.ping()
        except RedisError:
            return False
        finally:
            await client.aclose()
        return True

    return asyncio.run(ask())


def _by_celery(settings: Settings) -> bool:
    app = create_app(settings)
    try:
        with app.connection_for_write() as connection:
            connection.ensure_connection(max_retries=1, timeout=3)
    except BrokerDown:
        return False
    finally:
        app.close()
    return True


def test_an_address_without_an_authority_of_its_own_trusts_the_machine_s(
    settings: Settings, server: EmbeddedValkey, to_redis: Entrances, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = make_url(to_redis.address("right", server.url))
    ours = settings_of(settings, redis_url=SecretStr(url.set(query={}).render_as_string(hide_password=False)))
    assert not _by_client(ours)
    assert not _by_celery(ours)
    monkeypatch.setenv("SSL_CERT_FILE", str(url.query["ssl_ca_certs"]))
    assert _by_client(ours)
    assert _by_celery(ours)
