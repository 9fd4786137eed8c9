"""Aliases as plain data."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Alias:
    """A stored alias; `organization_id` None: shared. With a `version` it is a pin, otherwise it follows the champion.

    `project_id` and `capability` limit where it applies; None means everywhere in the organization.
    """

    id: UUID
    organization_id: UUID | None
    project_id: UUID | None
    capability: str | None
    alias: str
    model_id: UUID
    model: str
    version_id: UUID | None
    version: int | None
    changed_at: datetime


@dataclass(frozen=True, slots=True)
class NewAlias:
    """An alias to set. It replaces the one with the same name, project and capability."""

    alias: str
    model: str
    version: int | None = None
    project_id: UUID | None = None
    capability: str | None = None
