from collections.abc import Callable, Iterator

import pytest

from core.kit.settings import Settings
from core.registry.experiments.definition import ArmKind, Experiment, NewArm, NewExperiment
from core.registry.experiments.service import ExperimentService
from tests.factories.jobs import Tenant, new_tenant

ARMS = (NewArm(name="new", weight=0.5), NewArm(name="old", weight=0.5, kind=ArmKind.CONTROL))
Make = Callable[..., Experiment]


@pytest.fixture
def tenant(settings: Settings) -> Iterator[Tenant]:
    opened = new_tenant(settings)
    yield opened
    opened.close()


@pytest.fixture
def make(tenant: Tenant) -> Make:
    """Creates and, unless told otherwise, starts an experiment of the tenant's."""
    service = ExperimentService()

    def made(*, started: bool = True, **given: object) -> Experiment:
        wanted: dict[str, object] = {
            "name": "test",
            "capability": "probe.act",
            "arms": ARMS,
            "baseline": 0.2,
            "minimum_lift": 0.05,
            **given,
        }
        with tenant.database.tenant(tenant.principal.organization_id) as session:
            new = service.create(session, tenant.principal, NewExperiment(**wanted))  # type: ignore[arg-type]
            return service.start(session, tenant.principal, new.id) if started else new

    return made
