from collections.abc import Iterator

import httpx
import pytest

from core.kit.settings import Settings
from tests.factories.api import RunningApi, probe_capabilities, running_api


@pytest.fixture(scope="package", autouse=True)
def _probes() -> Iterator[None]:
    with probe_capabilities():
        yield


@pytest.fixture
def api(settings: Settings) -> Iterator[RunningApi]:
    with running_api(settings) as running:
        yield running


@pytest.fixture
def client(api: RunningApi) -> Iterator[httpx.Client]:
    with api.client() as opened:
        yield opened
