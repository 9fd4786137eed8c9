"""What can be asked for."""

from typing import Any

from pydantic import Field

from waybill.client.models.base import Resource


class Capability(Resource):
    """Something that can be asked for, with the JSON Schemas of its input and output."""

    id: str
    version: str = ""
    title: str = ""
    description: str = ""
    input_schema: dict[str, Any] = Field(default_factory=dict)
    output_schema: dict[str, Any] = Field(default_factory=dict)
    examples: list[dict[str, Any]] = Field(default_factory=list)
