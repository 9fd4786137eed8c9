"""Fixtures every test may ask for. Nothing starts unless a test asks: a pure unit test starts no server."""

pytest_plugins = ["pytester", "tests.factories.services", "tests.factories.groups", "tests.factories.network_guard"]
