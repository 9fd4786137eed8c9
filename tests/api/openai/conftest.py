import os
import secrets
from collections.abc import Iterator

import pytest
from openai import OpenAI
from pydantic import SecretStr

from core.kit.settings import Settings
from core.kit.signing import generate_seed
from tests.factories.openai_stack import OpenAIStack, openai_stack
from tests.factories.services import drop_database, new_database
from waybill.stack.valkey import EmbeddedValkey


@pytest.fixture(scope="package")
def stack(
    postgres_url: str, shared_valkey: EmbeddedValkey | None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[OpenAIStack]:
    """One stack for all tests of the dialect: starting workers takes longer than the tests do.

    With a Valkey of its own: other tests empty and stop the one that they share.
    """
    valkey = None if shared_valkey is None else EmbeddedValkey(tmp_path_factory.mktemp("openai-valkey"))
    if valkey is not None:
        valkey.start()
    database_url = new_database(postgres_url)
    settings = Settings(
        home=tmp_path_factory.mktemp("home"),
        database_url=SecretStr(database_url),
        redis_url=SecretStr(valkey.url if valkey else os.environ["REDIS_URL"]),
        secret_key=SecretStr(secrets.token_urlsafe(32)),
        pseudonym_key=SecretStr(secrets.token_urlsafe(32)),
        signing_key=SecretStr(generate_seed()),
        key_prefix=f"t{secrets.token_hex(4)}",
    )
    with openai_stack(settings, "models", "knowledge") as opened:
        yield opened
    drop_database(postgres_url, database_url)
    if valkey is not None:
        valkey.stop()


@pytest.fixture
def client(stack: OpenAIStack) -> Iterator[OpenAI]:
    with stack.client() as opened:
        yield opened
