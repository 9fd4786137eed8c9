from collections.abc import Iterator

import pytest
from sqlalchemy import text

from core.kit.settings import Settings
from tests.factories.jobs import new_tenant
from tests.factories.processes import settings_of
from tests.factories.webhooks import LOOPBACK, Hooks, new_hooks


@pytest.fixture
def hooks(settings: Settings) -> Iterator[Hooks]:
    """A project whose receivers may be on the loopback; a deliverer that waits a second for them."""
    allowed = settings_of(settings, **LOOPBACK, webhook_timeout_seconds=1.0, webhook_lease_seconds=30.0)
    made = new_hooks(allowed, new_tenant(allowed))
    yield made
    with made.tenant.database.system() as session:
        # The tests of a module share its database: none delivers what another left behind.
        session.execute(
            text(
                "UPDATE webhook_deliveries SET state = 'cancelled', is_held = false, finished_at = now()"
                " WHERE state = 'pending'"
            )
        )
    made.close()
