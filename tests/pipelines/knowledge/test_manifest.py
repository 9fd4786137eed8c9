from typing import Any

import pytest
from jsonschema import Draft202012Validator
from pydantic import BaseModel

from core.capability import Manifest
from pipelines.capabilities import CAPABILITIES


def objects(schema: Any) -> list[dict[str, Any]]:
    """Every object schema inside `schema`."""
    if isinstance(schema, list):
        return [found for each in schema for found in objects(each)]
    if not isinstance(schema, dict):
        return []
    inside = [found for each in schema.values() for found in objects(each)]
    return [schema, *inside] if schema.get("type") == "object" and "properties" in schema else inside


@pytest.mark.parametrize("manifest", CAPABILITIES, ids=lambda manifest: manifest.id)
def test_examples_are_valid_by_the_published_schema(manifest: Manifest) -> None:
    validator = Draft202012Validator(manifest.input.model_json_schema())

    assert manifest.examples
    for example in manifest.examples:
        validator.validate(example)
        manifest.input.model_validate(example)


@pytest.mark.parametrize("manifest", CAPABILITIES, ids=lambda manifest: manifest.id)
@pytest.mark.parametrize("side", ["input", "output"])
def test_schemas_are_closed_and_every_input_is_described(manifest: Manifest, side: str) -> None:
    model: type[BaseModel] = getattr(manifest, side)
    found = objects(model.model_json_schema())

    assert found
    assert all(schema.get("additionalProperties") is False for schema in found)
    if side == "input":
        for field in model.model_fields.values():
            described = field.description or any(getattr(extra, "description", None) for extra in field.metadata)
            assert described, field
