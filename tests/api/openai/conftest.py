from collections.abc import Iterator

import pytest
from openai import OpenAI

from core.kit.settings import Settings
from tests.factories.openai_stack import OpenAIStack, openai_stack


@pytest.fixture(scope="module")
def stack(module_settings: Settings) -> Iterator[OpenAIStack]:
    """A stack that the tests of one module share."""
    with openai_stack(module_settings, "models") as opened:
        yield opened


@pytest.fixture
def client(stack: OpenAIStack) -> Iterator[OpenAI]:
    with stack.client() as opened:
        yield opened
