import pytest
from prometheus_client import REGISTRY

from core.kit.settings import Settings
from tests.factories.jobs import Tenant
from workers.dispatcher import Dispatcher

pytestmark = pytest.mark.own_database


def reported() -> float:
    return REGISTRY.get_sample_value("waybill_queue_depth", {"pool": "probe", "state": "queued"}) or 0.0


def test_a_dispatcher_reports_the_queues_while_it_owns_them(settings: Settings, tenant: Tenant) -> None:
    tenant.submit()
    dispatcher = Dispatcher(settings, ("probe",))
    try:
        dispatcher._own_pools()
        dispatcher._keep_house()
        assert reported() >= 1
        dispatcher._disown()
        assert reported() == 0
    finally:
        dispatcher._disown()
        dispatcher._broker.close()
        dispatcher._database.close()
        dispatcher._redis.close()
