import os
import secrets
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from openai import OpenAI
from pydantic import SecretStr

from core.kit.settings import Settings
from core.kit.signing import generate_seed
from tests.factories.openai_stack import OpenAIStack, openai_stack
from tests.factories.services import drop_database, new_database
from waybill.stack.valkey import EmbeddedValkey

_FOLDER = Path(__file__).parent
_RUNNING = pytest.StashKey["_Running"]()


class _Running:
    """The stack of all tests of the dialect: starting workers takes longer than the tests do.

    With a Valkey of its own: other tests empty and stop the one that they share.
    """

    def __init__(self, postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> None:
        self._postgres_url = postgres_url
        self._folders = tmp_path_factory
        self._opened = ExitStack()
        self._stack: OpenAIStack | None = None

    def stack(self) -> OpenAIStack:
        """The running stack, started when it does not run."""
        if self._stack is None:
            self._stack = self._opened.enter_context(self._start())
        return self._stack

    def close(self) -> None:
        """Stop it, if it runs."""
        self._stack = None
        self._opened.close()

    @contextmanager
    def _start(self) -> Iterator[OpenAIStack]:
        given = os.environ.get("REDIS_URL")
        valkey = None if given else EmbeddedValkey(self._folders.mktemp("openai-valkey"))
        if valkey is not None:
            valkey.start()
        database_url = new_database(self._postgres_url)
        settings = Settings(
            home=self._folders.mktemp("home"),
            database_url=SecretStr(database_url),
            redis_url=SecretStr(valkey.url if valkey else os.environ["REDIS_URL"]),
            secret_key=SecretStr(secrets.token_urlsafe(32)),
            pseudonym_key=SecretStr(secrets.token_urlsafe(32)),
            signing_key=SecretStr(generate_seed()),
            key_prefix=f"t{secrets.token_hex(4)}",
        )
        with openai_stack(settings, "models", "knowledge") as opened:
            yield opened
        drop_database(self._postgres_url, database_url)
        if valkey is not None:
            valkey.stop()


@pytest.fixture(scope="session")
def _running(
    request: pytest.FixtureRequest, postgres_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[_Running]:
    running = _Running(postgres_url, tmp_path_factory)
    request.session.stash[_RUNNING] = running
    yield running
    running.close()


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """Stop the stack before the tests of other folders: its idle dispatcher would poll until the end of the session.

    Without an ``__init__.py`` a folder is no package to pytest, and a fixture of that scope one of the session.
    """
    if nextitem is not None and nextitem.path.parent != _FOLDER and _RUNNING in item.session.stash:
        item.session.stash[_RUNNING].close()


@pytest.fixture(scope="module")
def stack(_running: _Running) -> OpenAIStack:
    """The one stack."""
    return _running.stack()


@pytest.fixture
def client(stack: OpenAIStack) -> Iterator[OpenAI]:
    with stack.client() as opened:
        yield opened
