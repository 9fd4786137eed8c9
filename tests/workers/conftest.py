from collections.abc import Iterator

import pytest

from core.kit.settings import Settings
from tests.factories.jobs import Tenant, new_tenant


@pytest.fixture
def tenant(settings: Settings) -> Iterator[Tenant]:
    """A fresh organisation with one project."""
    made = new_tenant(settings)
    yield made
    made.close()
