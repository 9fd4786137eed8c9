"""Fixtures every test may ask for. Nothing starts unless a test asks: a pure unit test starts no server."""

from collections.abc import Generator

import pytest
from hypothesis import settings

from core.kit.garbage import uncollected

pytest_plugins = [
    "pytester",
    "tests.factories.services",
    "tests.factories.groups",
    "tests.factories.imports",
    "tests.factories.network_guard",
]

# How long an example takes on a busy machine says nothing about the code.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Leave the modules and the thousands of collected tests out of garbage collections."""
    with uncollected():
        return (yield)
