"""Naming what belongs to the project in a job's input needs the scope that reading or changing it needs."""

from collections.abc import Iterator
from typing import Annotated, Any

import pytest
from fastapi.routing import APIRoute
from pydantic import BaseModel

from api.main import create_app
from core.capability import Manifest, Needs
from core.keys.scopes import SCOPES
from core.kit.ids import DOCUMENT, FILE, KNOWLEDGE_BASE
from core.kit.settings import Settings
from pipelines.registry import manifests

OF = {FILE: "files:", KNOWLEDGE_BASE: "knowledge:", DOCUMENT: "knowledge:"}
HELP = "say which scope the field needs with core.capability.Needs in its annotation, or in the manifest's `scopes`"


def named(schema: dict[str, Any], path: str = "") -> Iterator[tuple[str, str, str | None]]:
    """(path, prefix, declared scope) of every place in a JSON Schema that takes the id of something of the project."""
    pattern = str(schema.get("pattern", ""))
    for prefix in OF:
        if pattern.startswith(f"^{prefix}_"):
            yield path, prefix, schema.get("x-scope")
    for key, value in schema.items():
        for part in value if isinstance(value, list) else [value]:
            if isinstance(part, dict):
                yield from named(part, f"{path}/{key}")


@pytest.mark.parametrize("manifest", manifests().values(), ids=lambda manifest: manifest.id)
def test_every_capability_says_which_scopes_its_input_needs(manifest: Manifest) -> None:
    for path, prefix, declared in named(manifest.input.model_json_schema()):
        held = {scope for scope in (declared, *manifest.scopes) if scope is not None and scope.startswith(OF[prefix])}
        assert held, f"{manifest.id}{path} takes the id of a {prefix}; {HELP}"
    assert manifest.scopes <= set(SCOPES)
    assert manifest.calls <= set(manifests())


def test_the_walk_finds_a_field_that_says_nothing() -> None:
    assert {prefix for manifest in manifests().values() for _, prefix, _ in named(manifest.input.model_json_schema())}
    careless = {"properties": {"files": {"type": "array", "items": {"type": "string", "pattern": "^file_[0-7]"}}}}
    assert list(named(careless)) == [("/properties/files/items", FILE, None)]


# What a request itself names, beside a job's input: the route looks at the scope by `require_scope`.
CHECKED_IN_ROUTE = {
    ("POST", "/v1/batches", "input_file_id"),
    ("POST", "/openai/v1/batches", "input_file_id"),
}


def test_every_field_of_a_request_that_names_a_file_is_known() -> None:
    found = set()
    for route in create_app(Settings()).routes:
        if isinstance(route, APIRoute) and route.body_field is not None:
            model = route.body_field.field_info.annotation
            if isinstance(model, type) and issubclass(model, BaseModel):
                found |= {
                    (method, route.path, name)
                    for method in route.methods or ()
                    for name in model.model_fields
                    if name.endswith(("file_id", "file_ids", "files", "knowledge_base", "knowledge_bases"))
                }
    assert found == CHECKED_IN_ROUTE, "look at the scope with api.routing.require_scope, then name the field here"


def test_a_scope_is_needed_only_where_something_is_named() -> None:
    class Input(BaseModel):
        files: list[str] = []

    class Named(BaseModel):
        files: list[Annotated[str, Needs("files:read")]] = []

    def manifest(model: type[BaseModel]) -> Manifest:
        return Manifest(id="a.b", version="1", title="t", description="d", input=model, output=Input, entry="x:y")

    assert manifest(Named).needs({"files": ["file_x"]}) == {"files:read"}
    assert manifest(Named).needs({}) == frozenset()
    assert manifest(Input).needs({"files": ["file_x"]}) == frozenset()
