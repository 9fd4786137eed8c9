from core.kit.settings_reference import render
from tests.factories.processes import ROOT


def test_the_reference_of_settings_is_what_the_code_says() -> None:
    page = (ROOT / "docs/reference/settings.md").read_text(encoding="utf-8")
    assert page == render(), "run: python -m core.kit.settings_reference > docs/reference/settings.md"
