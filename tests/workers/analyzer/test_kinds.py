"""``waybill guard serve`` with the recognizers that come with it, asked for kinds of findings."""

import tempfile
from pathlib import Path

import pytest

from core.guard.analyzer_client import AnalyzerClient
from core.kit.settings import Settings
from tests.factories.guard import analyzer, socket_below

pytestmark = [pytest.mark.stack, pytest.mark.heavy, pytest.mark.xdist_group("guard")]
_KEY = "ghp_16C7e42F292c6912E7710c838347Ae178B4a"
_TEXT = f"Yesterday Margaret Thornhill wrote from mt@thornhill.co.uk that her key is {_KEY}"


def test_the_product_finds_what_it_is_asked_for() -> None:
    with tempfile.TemporaryDirectory(prefix="wb-") as folder:
        settings = Settings(home=Path(folder), guard_timeout_seconds=60)
        url = socket_below(settings.home)
        with analyzer(settings, url, entry=None), AnalyzerClient(url, timeout_seconds=60) as client:

            def found(*kinds: str) -> set[tuple[str, str]]:
                [findings] = client.analyze([_TEXT], frozenset(kinds) if kinds else None)
                return {(each.kind, _TEXT[each.start : each.end]) for each in findings}

            assert found("secret") == {("secret", _KEY)}
            assert found("email", "phone") == {("email", "mt@thornhill.co.uk")}
            assert found("person") == {("person", "Margaret Thornhill")}
            assert {kind for kind, _ in found()} >= {"secret", "email", "person"}
