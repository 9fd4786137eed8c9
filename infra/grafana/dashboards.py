"""All dashboards, as JSON that Grafana 11.6 and later import."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from grafana_foundation_sdk.cog.encoder import JSONEncoder

from infra.grafana import models, money, overview, pools, quality, slos

FOLDER = Path(__file__).resolve().parents[1] / "helm" / "waybill" / "files" / "dashboards"
_BUILT = {
    "overview": overview.build,
    "pool": pools.build,
    "money": money.build,
    "models": models.build,
    "quality": quality.build,
    "objectives": slos.build,
}


def render() -> dict[str, str]:
    """The content of every file, by its name."""
    return {f"{name}.json": _render(build().build()) for name, build in _BUILT.items()}


def queries(dashboard: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every query of a dashboard in JSON, with the title of its panel."""
    for panel in dashboard["panels"]:
        for target in panel.get("targets", ()):
            yield panel["title"], target


def _render(built: object) -> str:
    plain: dict[str, Any] = json.loads(JSONEncoder().encode(built))
    for place, panel in enumerate(plain["panels"], start=1):
        panel["id"] = place
    return json.dumps(plain, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
