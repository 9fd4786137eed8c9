"""Prompts on the wire."""

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from core.kit.clock import isoformat
from core.kit.ids import PROMPT, encode
from core.registry.prompts.records import PromptVersion
from core.registry.prompts.service import TEXT_MAX

_NAME_PATTERN = r"^[a-z][a-z0-9_]{0,63}/[a-z][a-z0-9_]{0,63}$"
_DIGEST_PATTERN = r"^sha256:[0-9a-f]{64}$"


class AddPrompt(BaseModel):
    """A new version of a prompt, by its text; or an earlier version to put back in force, by its digest."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [{"name": "knowledge/answer", "text": "Answer in one sentence.", "activate": True}]
        },
    )

    name: str = Field(pattern=_NAME_PATTERN, max_length=129, description="The folder of the capability, and the file.")
    text: str | None = Field(None, min_length=1, max_length=TEXT_MAX, description="Kept without surrounding blanks.")
    digest: str | None = Field(
        None, pattern=_DIGEST_PATTERN, description="In place of `text`: an earlier version; needs `activate`."
    )
    activate: bool = Field(
        False,
        description="In force for the organization at once, in place of the capability's file; needs `models:promote`.",
    )


class Prompt(BaseModel):
    """A version of a prompt. It never changes."""

    id: str
    name: str
    version: int = Field(description="Counts the versions of this name, for the organization or for everybody.")
    digest: str = Field(description="What results record, and what a model's `prompt_set` names.")
    text: str
    in_force: bool = Field(description="The newest one that was activated. Yours comes before everybody's.")
    applies_to: Literal["organization", "everybody"]
    created_at: datetime


class PromptPage(BaseModel):
    """Prompts, newest first."""

    data: list[Prompt]
    next_cursor: str | None = Field(description="Pass it as `cursor` for the next page; null on the last one.")


def to_wire(prompt: PromptVersion) -> dict[str, Any]:
    """`prompt` as the members of `Prompt`."""
    return {
        "id": encode(PROMPT, prompt.id),
        "name": prompt.name,
        "version": prompt.number,
        "digest": prompt.digest,
        "text": prompt.text,
        "in_force": prompt.is_in_force,
        "applies_to": "everybody" if prompt.organization_id is None else "organization",
        "created_at": isoformat(prompt.created_at),
    }
