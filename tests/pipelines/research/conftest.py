from collections.abc import Iterator

import pytest
from pydantic import SecretStr

from core.kit.settings import Settings
from tests.factories.knowledge import CORPUS, Library, open_library

_FILES = ("claims-and-liability-policy.pdf", "delivery-promises.html", "packaging-guide.html", "customs-guide.docx")


@pytest.fixture(scope="session", autouse=True)
def crews() -> None:
    """CrewAI, or none of these tests."""
    # Its import warns of itself, and this swallows that.
    pytest.importorskip("crewai")


@pytest.fixture(scope="module")
def library(database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Library]:
    """A knowledge base with four documents of the sample corpus."""
    settings = Settings(home=tmp_path_factory.mktemp("research"), database_url=SecretStr(database_url))
    with open_library(settings) as library:
        library.upload_files([CORPUS / name for name in _FILES])
        library.ingest()
        yield library
