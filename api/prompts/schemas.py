"""Prompts schemas."""

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
    """A new version of a prompt by its text, or an earlier version to reactivate by its digest."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [{"name": "knowledge/answer", "text": "Answer in one sentence.", "activate": True}]
        },
    )

    name: str = Field(pattern=_NAME_PATTERN, max_length=129, description="The folder of the capability, and the file.")
    text: str | None = Field(
        None, min_length=1, max_length=TEXT_MAX, description="The text. Surrounding white space is removed."
    )
    digest: str | None = Field(
        None, pattern=_DIGEST_PATTERN, description="Instead of `text`: an earlier version. Needs `activate`."
    )
    activate: bool = Field(
        False,
        description=(
            "Use the version for the organization immediately, instead of the capability's file. Needs"
            " `models:promote`."
        ),
    )


class Prompt(BaseModel):
    """A version of a prompt. It never changes."""

    id: str
    name: str
    version: int = Field(description="Version number of this name, for the organization or shared.")
    digest: str = Field(description="The digest that results record and that a model's `prompt_set` names.")
    text: str
    in_force: bool = Field(
        description="Whether it is the latest activated version. Yours takes precedence over shared versions."
    )
    applies_to: Literal["organization", "shared"]
    created_at: datetime


class PromptPage(BaseModel):
    """A page of prompts, newest first."""

    data: list[Prompt]
    next_cursor: str | None = Field(description="Pass it as `cursor` to get the next page. Null on the last page.")


def to_wire(prompt: PromptVersion) -> dict[str, Any]:
    """`prompt` as the members of `Prompt`."""
    return {
        "id": encode(PROMPT, prompt.id),
        "name": prompt.name,
        "version": prompt.number,
        "digest": prompt.digest,
        "text": prompt.text,
        "in_force": prompt.is_in_force,
        "applies_to": "shared" if prompt.organization_id is None else "organization",
        "created_at": isoformat(prompt.created_at),
    }
