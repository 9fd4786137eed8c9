"""docs/reference/traces.md names what spans say, and the collector's configuration looks for what there is."""

import ast
from pathlib import Path
from typing import Any

import yaml

from core.kit import semconv
from tests.factories.processes import ROOT
from tests.factories.trace_reference import names, rows

NAMES = {
    value
    for name, value in vars(semconv).items()
    if name.isupper() and isinstance(value, str) and not name.startswith("_") and "." in value
} - {semconv.SCHEMA_URL}
FOLDERS = ("api", "core", "pipelines", "workers")


def test_the_page_knows_every_name_and_no_other() -> None:
    assert sorted(NAMES - names()) == []
    assert sorted(names() - NAMES) == []
    assert len(rows()) > 10
    assert all(row.kinds for row in rows())


def test_the_names_of_the_conventions_stand_in_one_module() -> None:
    found = []
    for file in (file for folder in FOLDERS for file in sorted((ROOT / folder).rglob("*.py"))):
        if file == Path(semconv.__file__):
            continue
        found += [
            f"{file.relative_to(ROOT)}:{node.lineno}: {node.value}"
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value in NAMES
        ]
    assert found == []


def test_the_collectors_configuration_is_whole_and_samples_by_names_that_spans_have() -> None:
    config: dict[str, Any] = yaml.safe_load((ROOT / "infra" / "otel" / "collector.yaml").read_text(encoding="utf-8"))
    (pipeline,) = config["service"]["pipelines"].values()
    for part in ("receivers", "processors", "exporters"):
        assert set(pipeline[part]) == set(config[part])
    # Batches are made of what was sampled, and memory is watched before anything is held.
    assert pipeline["processors"] == ["memory_limiter", "tail_sampling", "batch"]
    sampling = config["processors"]["tail_sampling"]
    for cache in ("sampled_cache_size", "non_sampled_cache_size"):
        assert sampling["decision_cache"][cache] > sampling["num_traces"]
    keys = set()
    for policy in sampling["policies"]:
        settings = policy[policy["type"]]
        keys |= {settings["key"]} if "key" in settings else set()
        conditions = [*settings.get("span", ()), *settings.get("spanevent", ())]
        keys |= {part.split('"')[1] for condition in conditions for part in condition.split("attributes[")[1:]}
    assert keys
    assert keys <= NAMES
