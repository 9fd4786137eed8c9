"""Grafana finds in Compose what it is given there: the data source, the dashboards and its password."""

from pathlib import Path
from typing import Any

import yaml

from infra.grafana.dashboards import FOLDER
from tests.factories.processes import ROOT

_PROVISIONING = ROOT / "infra" / "grafana" / "provisioning"
_COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))
_SERVICE = _COMPOSE["services"]["grafana"]


def _mounted(source: Path) -> str:
    [target] = [
        target
        for here, target, *_ in (each.split(":") for each in _SERVICE["volumes"])
        if (ROOT / here).resolve() == source
    ]
    return str(target)


def test_compose_gives_grafana_the_dashboards_and_prometheus() -> None:
    assert _mounted(_PROVISIONING) == "/etc/grafana/provisioning"
    [provider] = yaml.safe_load((_PROVISIONING / "dashboards" / "waybill.yaml").read_text(encoding="utf-8"))[
        "providers"
    ]
    assert provider["options"]["path"] == _mounted(FOLDER)
    [source] = yaml.safe_load((_PROVISIONING / "datasources" / "prometheus.yaml").read_text(encoding="utf-8"))[
        "datasources"
    ]
    host, port = source["url"].removeprefix("http://").split(":")
    assert set(_SERVICE["networks"]) & set(_COMPOSE["services"][host]["networks"])
    assert f":{port} {{\n\treverse_proxy {host}:{port}" in (ROOT / "infra/compose/Caddyfile").read_text(
        encoding="utf-8"
    )
    [link] = source["jsonData"]["exemplarTraceIdDestinations"]
    assert link["name"] == "trace_id"
    assert "${WAYBILL_TRACES_URL}" in link["url"]
    assert "WAYBILL_TRACES_URL" in _SERVICE["environment"]


def test_prometheus_stores_what_leads_to_traces() -> None:
    assert "--enable-feature=exemplar-storage" in _COMPOSE["services"]["prometheus"]["command"]
