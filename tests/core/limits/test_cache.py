"""Which rates a caller has: those set for its key, project and organisation, and the operator's default."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from core.kit.ids import new_id
from core.kit.settings import Settings
from core.limits.cache import LimitCache
from tests.factories.jobs import Tenant, new_tenant
from tests.factories.limits import set_limit
from tests.factories.tenancy import watch_single_statements


@pytest.fixture
def tenant(settings: Settings) -> Iterator[Tenant]:
    opened = new_tenant(settings)
    yield opened
    opened.close()


def test_the_default_is_a_keys_or_a_persons_and_no_one_elses(settings: Settings, tenant: Tenant) -> None:
    set_limit(settings, tenant, "requests_per_minute", 500)
    single, cache = tenant.database.single_tenant(tenant.principal.organization_id), LimitCache(settings)
    key = replace(tenant.principal, key_id=new_id())
    person = replace(tenant.principal, actor_kind="user", actor_id="mem_1")
    shown = [
        [(bucket.scope, bucket.per_minute) for bucket in cache.read(single, caller).buckets]
        for caller in (key, person, tenant.principal)
    ]
    assert shown == [[("key", 60_000), ("project", 500)], [("person", 60_000), ("project", 500)], [("project", 500)]]
    assert len({bucket.key for caller in (key, person) for bucket in cache.read(single, caller).buckets}) == 3


def test_it_is_read_once_and_says_whether_a_submit_is_counted(
    settings: Settings, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    single, cache = tenant.database.single_tenant(tenant.principal.organization_id), LimitCache(settings)
    assert cache.recall(tenant.principal) is None
    asked = watch_single_statements(tenant.database, monkeypatch, "FROM limits")
    assert [cache.read(single, tenant.principal).has_quotas for _ in range(5)] == [False] * 5
    assert len(asked) == 1
    set_limit(settings, tenant, "cost_per_day", "1.00")
    cache.evict()
    assert cache.read(single, tenant.principal).has_quotas
    assert cache.recall(tenant.principal) is not None
