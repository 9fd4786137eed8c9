from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from core.kit.settings import Settings, get_settings
from pipelines.customer_operations.policies.tables import load_policy, load_replies, policy_version
from tests.factories.knowledge import open_library
from tests.factories.operations import Desk
from tests.factories.sample_system import attached


@pytest.fixture(scope="module")
def open_desk(postgres_url: str, database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    home = tmp_path_factory.mktemp("desk")
    settings = Settings(home=home, database_url=SecretStr(database_url))
    with open_library(settings) as library, attached(postgres_url, home) as system:
        yield Desk(library, system)


@pytest.fixture
def desk(open_desk: Desk) -> Desk:
    """A desk whose sample system is as it was filled."""
    open_desk.attached.system.database.reset()
    return open_desk


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An operator's folder, in force."""
    monkeypatch.setenv("WAYBILL_CUSTOMER_OPERATIONS_DIR", str(tmp_path))
    readers = (get_settings, load_policy, load_replies, policy_version)
    for each in readers:
        each.cache_clear()
    yield tmp_path
    monkeypatch.undo()
    for each in readers:
        each.cache_clear()
