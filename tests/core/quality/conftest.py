"""An organization whose jobs are collected, in a database of the module's own."""

from collections.abc import Iterator

import pytest

from core.kit.settings import Settings
from tests.factories.jobs import Tenant, new_tenant
from tests.factories.quality import Collector


@pytest.fixture
def tenant(settings: Settings) -> Iterator[Tenant]:
    opened = new_tenant(settings)
    yield opened
    opened.close()


@pytest.fixture
def collector(settings: Settings, tenant: Tenant) -> Collector:
    return Collector(settings, tenant.database)
