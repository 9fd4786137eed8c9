"""Prompts as plain data."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID


@dataclass(frozen=True, slots=True)
class PromptVersion:
    """A stored version of a prompt; `organization_id` None: shared, copied from a capability's file.

    `number` counts the versions of a name. Of an organization's versions, the newest with `takes_force` is in force.
    """

    id: UUID
    organization_id: UUID | None
    name: str
    number: int
    digest: str
    text: str
    takes_force: bool
    created_at: datetime
    is_in_force: bool = False


@dataclass(frozen=True, slots=True)
class ChosenPrompt:
    """A prompt that replaces a capability's file, and the reason: ``version``, ``organization`` or ``pin``."""

    name: str
    text: str
    digest: str
    source: str
