"""Forms for JSON Schemas: what a person fills in becomes a value of the schema's types."""

from typing import Any

import pytest
from pydantic import BaseModel

from api.console.schema_forms import fields_of, value_of
from core.kit.errors import Unprocessable


class Inner(BaseModel):
    """A part."""

    name: str


class Whole(BaseModel):
    """One of each."""

    text: str
    count: int = 3
    share: float | None = None
    is_good: bool = False
    inner: Inner | None = None
    tags: list[str] = []


def test_the_fields_of_a_model_are_those_of_its_properties() -> None:
    fields = {field.name: field for field in fields_of(Whole.model_json_schema())}
    kinds = {name: field.kind for name, field in fields.items()}
    assert kinds == {
        "value.text": "long",
        "value.count": "integer",
        "value.share": "number",
        "value.is_good": "choice",
        "value.inner": "json",
        "value.tags": "json",
    }
    assert fields["value.count"].default == "3"
    assert fields["value.is_good"].options == ("yes", "no")
    assert [field.name for field in fields.values() if field.is_required] == ["value.text"]


def test_texts_become_values_and_empty_optional_ones_are_left_out() -> None:
    sent = {"value.text": " a ", "value.count": "12", "value.share": "", "value.is_good": "yes", "value.tags": '["x"]'}
    assert value_of(fields_of(Whole.model_json_schema()), sent) == {
        "text": " a ",
        "count": 12,
        "is_good": True,
        "tags": ["x"],
    }


@pytest.mark.parametrize(
    ("schema", "given", "value"),
    [
        ({"type": "boolean"}, "no", False),
        ({"enum": [1, "1", None]}, "1", 1),
        ({"const": {"a": 1}}, '{\n  "a": 1\n}', {"a": 1}),
        ({"type": "string", "maxLength": 5}, "", ""),
        ({"type": "array"}, "[1, 2.5]", [1, 2.5]),
        ({}, '{"any": true}', {"any": True}),
        ({"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/a"}}}, "1", 1),
    ],
)
def test_a_value_that_is_no_object_has_one_field(schema: dict[str, Any], given: str, value: Any) -> None:
    fields = fields_of(schema)
    assert [field.name for field in fields] == ["value"]
    assert value_of(fields, {"value": given}) == value


@pytest.mark.parametrize(
    ("name", "given"), [("count", "1.5"), ("share", "much"), ("is_good", "maybe"), ("inner", "{"), ("tags", "[" * 5000)]
)
def test_a_text_that_is_no_such_value_is_refused_by_name(name: str, given: str) -> None:
    with pytest.raises(Unprocessable) as refused:
        value_of(fields_of(Whole.model_json_schema()), {"value.text": "a", f"value.{name}": given})
    assert refused.value.extra["errors"][0]["path"] == f"form.{name}"
