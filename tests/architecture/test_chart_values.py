"""The Helm chart's tables agree with the product: its pools and its images."""

from typing import Any

import yaml

from pipelines.capabilities import CAPABILITIES
from tests.factories.processes import ROOT
from workers.pools import get_pool

_CHART = ROOT / "infra" / "helm" / "waybill"
_POOLS = {manifest.pool for manifest in CAPABILITIES}


def _values() -> dict[str, Any]:
    return yaml.safe_load((_CHART / "values.yaml").read_text(encoding="utf-8"))  # type: ignore[no-any-return]


def test_there_is_a_row_for_every_pool_and_an_image_for_every_row() -> None:
    rows = _values()["pools"]
    assert rows.keys() == _POOLS
    others = {"api", "backup", "dispatcher", "guard"}
    assert {path.stem for path in (ROOT / "infra" / "images").glob("*.lock")} == {*others, *rows}


def test_a_row_has_the_slots_of_its_pool_and_a_bound_that_is_no_wider() -> None:
    for name, row in _values()["pools"].items():
        assert row["slots"] == get_pool(name).concurrency
        assert row["memoryMb"] <= get_pool(name).memory_mb
