"""Capabilities schemas."""

from typing import Any

from pydantic import BaseModel, Field

from core.capability import Manifest


class Capability(BaseModel):
    """A kind of work that you can submit, with the JSON Schemas of its input and result."""

    id: str = Field(examples=["knowledge.search"])
    version: str
    title: str
    description: str
    input_schema: dict[str, Any] = Field(description="JSON Schema 2020-12 of a job's `input`.")
    output_schema: dict[str, Any] = Field(description="JSON Schema 2020-12 of a job's `result`.")
    examples: list[dict[str, Any]] = Field(description="Example inputs.")
    scopes: list[str] = Field(description="Scopes that a key needs in addition to `jobs:write`.")
    price_hint: str
    max_attempts: int
    deadline_seconds: int


class CapabilityPage(BaseModel):
    """All capabilities, in one page."""

    data: list[Capability]
    next_cursor: str | None = None


def to_wire(manifest: Manifest) -> dict[str, Any]:
    """`manifest` as the members of `Capability`."""
    return {
        "id": manifest.id,
        "version": manifest.version,
        "title": manifest.title,
        "description": manifest.description,
        "input_schema": manifest.input.model_json_schema(),
        "output_schema": manifest.output.model_json_schema(mode="serialization"),
        "examples": [dict(example) for example in manifest.examples],
        "scopes": sorted(manifest.scopes),
        "price_hint": manifest.price_hint,
        "max_attempts": manifest.max_attempts,
        "deadline_seconds": manifest.deadline_seconds,
    }
