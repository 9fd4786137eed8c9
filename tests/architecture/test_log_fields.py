"""Every field of a log line that is called an id is one that `core.kit.ids.FIELDS` can write as the API does."""

import ast
from collections.abc import Iterator
from pathlib import Path

from core.kit.ids import FIELDS

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("api", "core", "infra", "pipelines", "waybill", "workers")
METHODS = {"debug", "info", "warning", "error", "exception", "critical", "log", "bind"}
# Ids of other systems, which have one form only.
FOREIGN = {"trace_id", "span_id", "pid"}


def fields_of(tree: ast.AST) -> Iterator[tuple[str, int]]:
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        called = node.func
        name = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")
        owner = getattr(called.value, "id", "") if isinstance(called, ast.Attribute) else ""
        if name in {"bound_log_context", "bound_contextvars"} or (
            name in METHODS and owner in {"_log", "log", "logger"}
        ):
            for each in node.keywords:
                if each.arg == "extra" and isinstance(each.value, ast.Dict):
                    yield from ((ast.literal_eval(key), node.lineno) for key in each.value.keys if key is not None)
                elif each.arg is not None:
                    yield each.arg, node.lineno


def test_every_id_in_a_log_line_has_a_form() -> None:
    found, unknown = set(), []
    for file in (file for folder in FOLDERS for file in sorted((ROOT / folder).rglob("*.py"))):
        for name, line in fields_of(ast.parse(file.read_text(encoding="utf-8"))):
            if name == "id" or name.endswith(("_id", "_ids")):
                found.add(name)
                if name not in FIELDS and name not in FOREIGN:
                    unknown.append(f"{file.relative_to(ROOT)}:{line}: {name}")
    assert unknown == []
    assert {"job_id", "project_id"} <= found
