"""Fixtures every test may ask for. Nothing starts unless a test asks: a pure unit test starts no server."""

from hypothesis import settings

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
