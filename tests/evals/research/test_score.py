from collections.abc import Iterator

import pytest
from pydantic import SecretStr

from core.kit.settings import Settings
from tests.evals.research.__main__ import COVERAGE, SUPPORT, report
from tests.evals.research.run import read_questions, run
from tests.factories.knowledge import CORPUS, Library, open_library

pytestmark = [
    pytest.mark.heavy,
    pytest.mark.xdist_group("crews"),
    # CrewAI reads fields of its own that it has deprecated.
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]

_SOME = ("claims", "drivers", "security", "gaps")


@pytest.fixture(scope="module", autouse=True)
def crews(tmp_path_factory: pytest.TempPathFactory) -> None:
    """CrewAI's import warns of itself, and this swallows that."""
    pytest.importorskip("crewai")


@pytest.fixture(scope="module")
def library(database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Library]:
    settings = Settings(home=tmp_path_factory.mktemp("evaluation"), database_url=SecretStr(database_url))
    names = {name for label in read_questions() if label["id"] in _SOME for name in label["documents"]}
    with open_library(settings) as library:
        library.upload_files([CORPUS / name for name in sorted(names)])
        library.ingest()
        yield library


def test_some_questions_on_their_own_documents_are_supported_and_covered(library: Library) -> None:
    """``make evals`` asks all of them on the whole corpus, and for restraint too, which four parts cannot measure."""
    score = run(library, [label for label in read_questions() if label["id"] in _SOME])
    assert score.support >= SUPPORT, report(score)
    assert score.coverage >= COVERAGE, report(score)


def test_the_set_is_labelled_with_what_its_documents_are() -> None:
    questions = read_questions()
    assert len(questions) >= 10
    assert len({label["id"] for label in questions}) == len(questions)
    for label in questions:
        assert label["facts"] or label["unanswerable"]
        assert all((CORPUS / name).is_file() for name in label["documents"])
