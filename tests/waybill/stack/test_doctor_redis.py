"""What the doctor says about Redis, on real servers: plain, clustered, forgetful, of the wrong address."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr
from redis import Redis
from redis.exceptions import ResponseError

from core.jobs.states import JobState
from core.kit.settings import Settings
from tests.factories.cluster import valkey_cluster
from tests.factories.jobs import new_tenant
from tests.factories.processes import dispatcher, settings_of, worker
from waybill.stack.doctor import Check, check_redis
from waybill.stack.doctor.redis import check_eviction, check_tls
from waybill.stack.postgres import free_port
from waybill.stack.valkey import EmbeddedValkey


def looked_at(settings: Settings) -> dict[str, Check]:
    return {check.name: check for check in check_redis(settings)}


def redis_at(url: str, key_prefix: str = "waybill") -> Settings:
    return Settings(redis_url=SecretStr(url), key_prefix=key_prefix)


@pytest.fixture(scope="module")
def cluster_of_one(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with valkey_cluster(tmp_path_factory.mktemp("cluster"), nodes=1) as [url]:
        yield url


def test_the_embedded_server_is_all_well_and_no_key_is_left(valkey: EmbeddedValkey) -> None:
    checks = looked_at(redis_at(valkey.url))
    assert {check.status for check in checks.values()} == {"ok"}, checks
    assert "Valkey 9" in checks["Redis"].found
    with Redis.from_url(valkey.url) as client:
        assert client.dbsize() == 0


def test_a_server_that_is_full_is_named(valkey: EmbeddedValkey) -> None:
    with Redis.from_url(valkey.url) as client:
        client.config_set("maxmemory", 1)
        try:
            full = looked_at(redis_at(valkey.url))["Redis keys"]
        finally:
            client.config_set("maxmemory", 0)
    assert full.status == "fail"
    assert "full" in full.found
    assert "maxmemory" in full.remedy


@pytest.mark.survive("C7")
def test_a_cluster_that_refuses_our_keys_together_is_named(cluster_of_one: str) -> None:
    with Redis.from_url(cluster_of_one) as client, pytest.raises(ResponseError, match=r"CROSSSLOT|same slot"):
        client.mset({"queue.knowledge": "1", "unacked": "1"})
    # A brace at the wrong place ends the hash tag before it began.
    broken = looked_at(redis_at(cluster_of_one, key_prefix="}waybill"))["Redis keys"]
    assert broken.status == "fail"
    assert "CROSSSLOT" in broken.found
    assert "WAYBILL_KEY_PREFIX" in broken.remedy
    assert looked_at(redis_at(cluster_of_one))["Redis keys"].status == "ok"


@pytest.mark.survive("C7")
def test_jobs_run_on_a_cluster_as_all_keys_share_a_slot(cluster_of_one: str, settings: Settings) -> None:
    clustered = settings_of(settings, redis_url=SecretStr(cluster_of_one))
    tenant = new_tenant(clustered)
    with dispatcher(clustered), worker(clustered):
        tenant.submit()
        tenant.submit()
        jobs = tenant.wait(timeout_seconds=30)
    tenant.close()
    assert {job.state for job in jobs} == {JobState.SUCCEEDED}


@pytest.mark.survive("C7")
def test_a_cluster_of_several_shards_is_refused(tmp_path: Path) -> None:
    with valkey_cluster(tmp_path, nodes=2) as urls:
        seen = [looked_at(redis_at(url)) for url in urls]
    for checks in seen:
        assert checks["Redis cluster"].status == "fail"
        assert "2 shards" in checks["Redis cluster"].found
        assert "Enterprise or non-clustered" in checks["Redis cluster"].remedy
    # Our one slot lives on one of the two; a plain client that knocks at the other is sent away.
    assert sorted(checks["Redis keys"].status for checks in seen) == ["fail", "ok"]
    assert any("another server of a cluster" in checks["Redis keys"].found for checks in seen)


def test_a_server_that_evicts_is_named(tmp_path: Path) -> None:
    server = EmbeddedValkey(tmp_path / "valkey")
    server.start()
    try:
        with Redis.from_url(server.url) as client:
            client.config_set("maxmemory-policy", "allkeys-lru")
            client.config_set("maxmemory", "1gb")
            client.config_set("appendonly", "no")
        checks = looked_at(redis_at(server.url))
    finally:
        server.kill()
    assert checks["Redis eviction"].status == "fail"
    assert "noeviction" in checks["Redis eviction"].remedy
    assert checks["Redis persistence"].status == "warn"


def test_eviction_matters_less_where_it_cannot_happen() -> None:
    assert check_eviction("allkeys-lru", 0).status == "warn"
    assert check_eviction("volatile-lru", 1024**3).status == "warn"
    assert check_eviction("noeviction", 1024**3).status == "ok"


def test_another_database_than_zero_is_advised_against(valkey: EmbeddedValkey) -> None:
    checks = looked_at(redis_at(valkey.url.replace("/0", "/3")))
    assert checks["Redis database"].status == "warn"


def test_a_database_that_does_not_exist_is_explained(cluster_of_one: str) -> None:
    [check] = check_redis(redis_at(f"{cluster_of_one.removesuffix('/0')}/3"))
    assert check.status == "fail"
    assert "/0" in check.remedy


def test_what_does_not_answer_or_refuses_us_is_explained(valkey: EmbeddedValkey) -> None:
    [unreachable] = check_redis(redis_at(f"redis://127.0.0.1:{free_port()}/0"))
    assert unreachable.status == "fail"
    [refused] = check_redis(redis_at(f"redis://:wrong@127.0.0.1:{valkey.port}/0"))
    assert refused.status == "fail"
    assert "password" in refused.remedy
    [nonsense] = check_redis(redis_at("localhost:6379"))
    assert nonsense.status == "fail"
    assert "redis://" in nonsense.remedy


def test_an_unset_address_means_the_embedded_server() -> None:
    [check] = check_redis(Settings(redis_url=None))
    assert check.status == "ok"
    assert "waybill up" in check.found


@pytest.mark.parametrize(
    ("options", "is_local", "status", "found"),
    [
        ({}, False, "ok", "certificate is verified"),
        ({"ssl_check_hostname": False}, False, "warn", "host name is not verified"),
        ({"ssl_cert_reqs": "none"}, False, "warn", "certificate is not verified"),
        (None, False, "warn", "not encrypted"),
        (None, True, "ok", "on this machine"),
    ],
)
def test_what_a_network_could_do_with_the_connection_is_named(
    options: dict[str, object] | None, is_local: bool, status: str, found: str
) -> None:
    check = check_tls(options, is_local=is_local)
    assert (check.status, found in check.found) == (status, True)
