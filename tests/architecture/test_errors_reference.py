"""Every stable code that the code base can answer with is explained, under its status, and nothing else is."""

import ast
import importlib
import pkgutil
import re
from collections.abc import Iterator
from functools import cache
from http import HTTPStatus

import pytest

import api
import core
from api.detail_codes import FAILURES, FIELDS
from api.errors_reference import PROBLEMS, render
from api.problem import _HTTP_CODES
from core.batches.records import LineError, LineRule
from core.jobs.states import Reason
from core.kit.errors import CapabilityFailure, Unavailable, WaybillError
from tests.factories.processes import ROOT

PAGE = ROOT / "docs/reference/errors.md"
HELP = (
    "explain it in api/errors_reference.py or api/detail_codes.py, then:"
    " python -m api.errors_reference > docs/reference/errors.md"
)
LISTED = {code: status for status, rows in PROBLEMS.items() for code, _, _ in rows}
# Composed at run time from what is not there.
COMPOSED = re.compile(r"(job|base|document|project|key|member|budget|organization|record|knowledge_base)_not_found")


@pytest.fixture(scope="module", autouse=True)
def sources() -> Iterator[None]:
    """Held for this module only: the garbage collector would look through all of it again and again."""
    yield
    _nodes.cache_clear()


def trees(*folders: str) -> Iterator[ast.AST]:
    for folder in folders:
        yield from _nodes(folder)


@cache
def _nodes(folder: str) -> list[ast.AST]:
    return [
        node
        for path in sorted((ROOT / folder).rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    ]


def classes() -> set[type[WaybillError]]:
    for package in (core, api):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if not module.name.endswith("__main__"):
                importlib.import_module(module.name)
    pending, found = [WaybillError], set[type[WaybillError]]()
    while pending:
        for kind in pending.pop().__subclasses__():
            if kind.__module__.startswith(("core.", "api.")):
                found.add(kind)
                pending.append(kind)
    return found


def raised(*folders: str) -> dict[str, str]:
    """Codes given at the place of refusal, with the name of what is called there."""
    return {
        keyword.value.value: ast.unparse(node.func)
        for node in trees(*folders)
        if isinstance(node, ast.Call)
        for keyword in node.keywords
        if keyword.arg == "code" and isinstance(keyword.value, ast.Constant) and isinstance(keyword.value.value, str)
    }


def test_the_page_is_what_the_code_says() -> None:
    assert PAGE.read_text(encoding="utf-8") == render(), HELP


def test_every_refusal_of_the_api_is_explained_under_its_status() -> None:
    kinds = classes()
    # `OperatorFile` raises `Unavailable` with the code that it is given.
    by_name = {kind.__name__: kind for kind in kinds} | {"OperatorFile": Unavailable}
    http = {kind.default_code: kind.status for kind in kinds if not issubclass(kind, CapabilityFailure)}
    for code, name in raised("api", "core").items():
        kind = by_name.get({"OperatorFile": "Unavailable"}.get(name, name))
        if kind is not None and not issubclass(kind, CapabilityFailure):
            http[code] = kind.status
    assigned = {
        node.value.value: HTTPStatus.UNPROCESSABLE_ENTITY.value
        for node in trees("api")
        if isinstance(node, ast.Assign)
        and isinstance(node.value, ast.Constant)
        and any(isinstance(target, ast.Attribute) and target.attr == "code" for target in node.targets)
    }
    framework = {code: status for status, (code, _) in _HTTP_CODES.items()}
    expected = {**framework, **assigned, **http, "internal_error": 500, "database_unavailable": 503}
    assert len(expected) > 60
    assert {code: status for code, status in expected.items() if LISTED.get(code) != status} == {}, HELP
    assert {code for code in LISTED if code not in expected and not COMPOSED.fullmatch(code)} == set(), HELP


def test_every_field_rule_of_ours_is_explained() -> None:
    found = {
        value.value
        for node in trees("api", "core")
        if isinstance(node, ast.Dict)
        for names in [[key.value if isinstance(key, ast.Constant) else None for key in node.keys]]
        if {"path", "code", "message"} <= set(names)
        for value in [node.values[names.index("code")]]
        if isinstance(value, ast.Constant) and isinstance(value.value, str)
    }
    # Rules of every JSON Schema are not listed.
    found |= {rule.value for rule in LineRule} - {"missing", "file_not_found"}
    assert found <= set(FIELDS), HELP
    assert set(FIELDS) - found == set(), HELP


def test_every_reason_and_failure_of_a_job_is_explained() -> None:
    failures = {kind.default_code for kind in classes() if issubclass(kind, CapabilityFailure)}
    names = {kind.__name__ for kind in classes() if issubclass(kind, CapabilityFailure)} | {"CapabilityFailure"}
    given = {code for code, name in raised("core", "pipelines", "workers").items() if name in names}
    expected = (
        failures
        | given
        | {why.value for why in LineError}
        | {reason.value for reason in Reason}
        | set(raised("pipelines"))
    )
    assert expected - set(FAILURES) == set(), HELP
    # What a capability's own code refuses with a status of the API ends up here too.
    assert set(FAILURES) - expected - set(LISTED) == set(), HELP
