"""What is stored or answered as JSON is written by one module: others fail on what models and services return."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.factories.processes import ROOT

# They write what no one outside had a hand in, or refuse more than JSON does.
OWN_RULES = {
    "core/audit/export.py": "canonical documents of sealed records",
    "core/gateway": "ASCII for a provider's wire, for counting, or for a digest",
    "core/kit/canonical.py": "the canonical form",
    "core/kit/json_values.py": "the module itself",
    "core/kit/logging/__init__.py": "lines of a log, in any case",
    "core/kit/settings_reference.py": "a page of the documentation",
    "api/problem.py": "problem documents",
}


def calls(file: Path) -> Iterator[int]:
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Attribute) and ast.unparse(node) in {"json.dumps", "orjson.dumps"}:
            yield node.lineno


@pytest.mark.parametrize("folder", ["api", "core", "workers"])
def test_json_is_written_by_one_module(folder: str) -> None:
    found = {
        f"{path}:{line}"
        for file in sorted((ROOT / folder).rglob("*.py"))
        if not (path := str(file.relative_to(ROOT))).startswith(tuple(OWN_RULES))
        for line in calls(file)
    }
    assert not found, "write it with core.kit.json_values.dumps"
