"""Prompts as services hand them around."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID


@dataclass(frozen=True, slots=True)
class PromptVersion:
    """A stored version of a prompt; `organization_id` None: everybody's, as a file of a capability said once.

    `number` counts the versions of a name. Of an organization's versions the newest with `takes_force` is in force.
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
    """A prompt that takes the place of a capability's file, and why: ``version``, ``organization`` or ``pin``."""

    name: str
    text: str
    digest: str
    source: str
