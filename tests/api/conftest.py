import os
import secrets
from collections.abc import Iterator

import httpx
import pytest
from pydantic import SecretStr

from core.kit.settings import Settings
from core.kit.signing import generate_seed
from tests.factories.api import RunningApi, probe_capabilities, running_api
from waybill.stack.valkey import EmbeddedValkey


@pytest.fixture(scope="package", autouse=True)
def _probes() -> Iterator[None]:
    with probe_capabilities():
        yield


@pytest.fixture(scope="module")
def module_settings(
    database_url: str, shared_valkey: EmbeddedValkey | None, tmp_path_factory: pytest.TempPathFactory
) -> Settings:
    """Settings for an API that the tests of one module share."""
    if shared_valkey is not None:
        shared_valkey.start()
    return Settings(
        home=tmp_path_factory.mktemp("home"),
        database_url=SecretStr(database_url),
        redis_url=SecretStr(shared_valkey.url if shared_valkey else os.environ["REDIS_URL"]),
        secret_key=SecretStr(secrets.token_urlsafe(32)),
        pseudonym_key=SecretStr(secrets.token_urlsafe(32)),
        signing_key=SecretStr(generate_seed()),
        key_prefix=f"t{secrets.token_hex(4)}",
    )


@pytest.fixture(scope="module")
def api(module_settings: Settings) -> Iterator[RunningApi]:
    """An API that the tests of one module share; a test that needs an empty one takes `fresh_api`."""
    with running_api(module_settings) as running:
        yield running


@pytest.fixture
def fresh_api(settings: Settings) -> Iterator[RunningApi]:
    """An API of the test's own, to be stopped, starved or counted."""
    with running_api(settings) as running:
        yield running


@pytest.fixture(scope="module")
def client(api: RunningApi) -> Iterator[httpx.Client]:
    with api.client() as opened:
        yield opened
