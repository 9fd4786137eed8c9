import os
from collections.abc import Iterator

import pytest
from pydantic import SecretStr

from core.kit.settings import Settings
from tests.factories.knowledge import CORPUS, Library, open_library

_FILES = ("claims-and-liability-policy.pdf", "delivery-promises.html", "packaging-guide.html", "customs-guide.docx")


@pytest.fixture(scope="session", autouse=True)
def crews(tmp_path_factory: pytest.TempPathFactory) -> None:
    """CrewAI keeps files of its own, which belong to this run."""
    os.environ["CREWAI_STORAGE_DIR"] = str(tmp_path_factory.mktemp("crews"))
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
