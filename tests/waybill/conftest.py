import os
import secrets
from collections.abc import Iterator

import pytest
from pydantic import SecretStr

from core.kit.settings import Settings
from core.kit.signing import generate_seed
from tests.factories.api import RunningApi, probe_capabilities, running_api
from waybill.stack.valkey import EmbeddedValkey


@pytest.fixture(scope="module")
def module_settings(
    database_url: str, shared_valkey: EmbeddedValkey | None, tmp_path_factory: pytest.TempPathFactory
) -> Settings:
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
    with probe_capabilities(), running_api(module_settings) as running:
        yield running
