"""Fixtures every test may ask for. Nothing starts unless a test asks: a pure unit test starts no server."""

pytest_plugins = ["tests.factories.services"]
