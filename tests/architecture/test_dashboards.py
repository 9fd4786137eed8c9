"""The committed dashboards are what their modules make, and ask for what is exported or recorded."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from infra.grafana.dashboards import FOLDER, queries, render
from tests.factories.processes import ROOT
from tests.factories.queries import faults_of, runnable, series_of

_DASHBOARDS: dict[str, dict[str, Any]] = {
    file.name: json.loads(file.read_text(encoding="utf-8")) for file in sorted(FOLDER.glob("*.json"))
}
_WIDTH = 24
# Grafana's names; a typing error would show as text behind every number.
_UNITS = {"bytes", "currencyUSD", "none", "ops", "percentunit", "reqps", "s", "short"}
_promtool = shutil.which("promtool")


def _panels(name: str) -> list[dict[str, Any]]:
    return [panel for panel in _DASHBOARDS[name]["panels"] if panel["type"] != "row"]


def test_making_them_again_changes_nothing() -> None:
    assert {file.name: file.read_text(encoding="utf-8") for file in FOLDER.glob("*.json")} == render(), (
        "python -m infra.grafana"
    )
    assert len({each["uid"] for each in _DASHBOARDS.values()}) == len(_DASHBOARDS)


@pytest.mark.parametrize("name", _DASHBOARDS)
def test_every_query_asks_for_what_there_is(name: str) -> None:
    for title, target in queries(_DASHBOARDS[name]):
        assert not faults_of(target["expr"]), title
        assert series_of(target["expr"]) or re.search(r"\b(up|ALERTS)\{", target["expr"]), title
        if target.get("exemplar"):
            assert "_bucket" in target["expr"], f"{title}: only buckets have exemplars"
    for variable in _DASHBOARDS[name]["templating"]["list"]:
        if variable["type"] == "query":
            series, label = re.fullmatch(r"label_values\((\w+), (\w+)\)", variable["query"]).groups()  # type: ignore[union-attr]
            assert not faults_of(f"sum by ({label}) ({series})")


@pytest.mark.parametrize("name", _DASHBOARDS)
def test_every_panel_has_a_unit_a_place_and_a_runbook_that_exists(name: str) -> None:
    taken: set[tuple[int, int]] = set()
    for panel in _panels(name):
        assert panel["fieldConfig"]["defaults"]["unit"] in _UNITS, panel["title"]
        at = panel["gridPos"]
        assert at["x"] + at["w"] <= _WIDTH, panel["title"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not cells & taken, f"{panel['title']} lies on another"
        taken |= cells
        assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"])
        for link in panel.get("links", ()):
            assert link["url"].startswith("${runbooks}")
            assert (ROOT / "docs" / "runbooks" / link["url"].removeprefix("${runbooks}")).is_file(), panel["title"]
    titles = [panel["title"] for panel in _DASHBOARDS[name]["panels"] if panel["type"] == "row"]
    assert len(set(titles)) == len(titles)


@pytest.mark.skipif(_promtool is None, reason="promtool is not installed")
def test_every_query_can_be_read_by_prometheus(tmp_path: Path) -> None:
    assert _promtool is not None
    found = [target["expr"] for each in _DASHBOARDS.values() for _, target in queries(each)]
    rules = [{"record": f"query:{place}", "expr": runnable(expr)} for place, expr in enumerate(found)]
    file = tmp_path / "queries.yaml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "queries", "rules": rules}]}), encoding="utf-8")
    done = subprocess.run([_promtool, "check", "rules", file], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
