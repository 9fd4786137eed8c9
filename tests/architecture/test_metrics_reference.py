"""The page of metrics says what the code defines, and no label of it could name a tenant or hold what a job carries."""

import re

from core.kit import metrics, metrics_reference
from core.kit.metrics.families import FAMILIES
from tests.factories.processes import ROOT

# What a label may be; a new one is added here by whoever has made sure that its values are few.
_BOUNDED = {
    "action", "band", "capability", "cause", "code", "deployment", "direction", "hard", "kind", "level", "method",
    "model", "operation", "outcome", "pool", "provider", "reason", "route", "server", "signal", "source", "state",
    "status", "step", "table", "task", "tool", "verdict", "version",
}  # fmt: skip
# The operator says which organizations.
_NAMED = re.compile(r"waybill_organization_")


def test_the_page_is_what_the_code_says() -> None:
    page = (ROOT / "docs/reference/metrics.md").read_text(encoding="utf-8")
    assert page == metrics_reference.render(), "run: python -m core.kit.metrics_reference > docs/reference/metrics.md"
    assert all(f"| `{family.name}` |" in page for family in FAMILIES), "a theme is missing on the page"


def test_labels_are_bounded() -> None:
    for family in FAMILIES:
        own = set(family.labels) - {"organization"} if _NAMED.match(family.name) else set(family.labels)
        assert own <= _BOUNDED, f"{family.name} has a label that nothing says is bounded: {own - _BOUNDED}"


def test_names_say_their_unit_and_help_is_a_sentence() -> None:
    for family in FAMILIES:
        assert re.fullmatch(r"waybill_[a-z][a-z_]*[a-z]", family.name)
        assert family.help.endswith((".",)), family.name
        assert family.processes, family.name
        if family.kind == "histogram" and not family.name.endswith("_per_second"):
            assert family.name.endswith("_seconds"), family.name


def test_every_metric_can_be_imported_from_the_package() -> None:
    exported = {id(getattr(metrics, name)) for name in metrics.__all__}
    assert {family.name for family in FAMILIES if id(family.collector) not in exported} == set()
