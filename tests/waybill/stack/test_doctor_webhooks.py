import pytest
from pydantic import SecretStr

from core.kit.processes import address_of
from core.kit.settings import Settings
from tests.factories.jobs import new_tenant
from tests.factories.processes import settings_of
from tests.factories.services import PASSWORDS
from tests.factories.webhook_receiver import WebhookReceiver
from tests.factories.webhooks import LOOPBACK, new_hooks
from waybill.stack.doctor import check_postgres

# It counts what is overdue in all of the database.
pytestmark = pytest.mark.own_database


def test_deliveries_that_no_one_sends_are_reported_with_a_remedy(settings: Settings) -> None:
    # Inside a container it is the process's own login that looks.
    assert settings.database_url is not None
    address = address_of(settings.database_url.get_secret_value(), "waybill_api", PASSWORDS["waybill_api"])
    looking = settings_of(settings, database_url=SecretStr(address))

    def look() -> tuple[str, str]:
        checks = check_postgres(looking)
        assert [each for each in checks if each.status == "fail"] == []
        [check] = [each for each in checks if each.name == "webhooks"]
        return check.status, check.remedy

    hooks = new_hooks(settings_of(settings, **LOOPBACK), new_tenant(settings))
    try:
        with WebhookReceiver() as receiver:
            endpoint, _ = hooks.add(receiver.url)
            hooks.make_deliveries(endpoint, 2)
            assert look() == ("ok", "")
            with hooks.tenant.database.engine.begin() as connection:
                connection.exec_driver_sql("UPDATE webhook_deliveries SET next_attempt_at = now() - interval '1 hour'")
            status, remedy = look()
            assert status == "warn"
            assert "waybill deliverer" in remedy
            hooks.act("pause", endpoint.id)
            assert look() == ("ok", "")
            hooks.act("resume", endpoint.id)
            hooks.drain()
            assert look() == ("ok", "")
    finally:
        hooks.close()
