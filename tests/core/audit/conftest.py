from collections.abc import Iterator

import pytest
from pydantic import SecretStr

from core.kit.db import Database
from core.kit.settings import Settings
from tests.factories.audit import Trail


@pytest.fixture(scope="module")
def database_url(own_database_url: str) -> str:
    """A database of the module's own: all organizations' records are sealed into one tree."""
    return own_database_url


@pytest.fixture(scope="module")
def database(database_url: str) -> Iterator[Database]:
    opened = Database(Settings(database_url=SecretStr(database_url)), application_name="test-audit", pool_size=6)
    yield opened
    opened.close()


@pytest.fixture
def trail(database: Database) -> Trail:
    return Trail(database)
