from collections.abc import Iterator

import pytest
from pydantic import SecretStr

from core.kit.settings import Settings
from tests.evals.customer_operations.__main__ import MARK, report
from tests.evals.customer_operations.run import read_messages, run
from tests.factories.knowledge import Library, open_library
from tests.factories.sample_system import Attached, attached


@pytest.fixture(scope="module")
def place(
    postgres_url: str, database_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Library, Attached]]:
    home = tmp_path_factory.mktemp("evaluation")
    settings = Settings(home=home, database_url=SecretStr(database_url))
    with open_library(settings) as library, attached(postgres_url, home) as system:
        yield library, system


def test_the_embedded_models_pass_the_set_and_nothing_happens_that_must_not(place: tuple[Library, Attached]) -> None:
    score = run(*place)

    reported = report(score)
    assert score.forbidden == 0, reported
    assert min(score.share(what) for what in ("intent", "decision", "actions", "human")) >= MARK, reported


def test_the_set_is_not_what_the_classifier_learned_from() -> None:
    from pipelines.customer_operations.intents.examples import load_examples

    learned = {text.lower() for texts in load_examples().values() for text in texts}
    messages = read_messages()
    assert len(messages) >= 30
    assert len({message["id"] for message in messages}) == len(messages)
    assert not learned & {message["message"].lower() for message in messages}
