"""Who is asking: the outcome of authentication, handed to every service."""

from dataclasses import dataclass
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Principal:
    """A caller. Every query is scoped by `organization_id` and, where rows belong to a project, by `project_id`."""

    organization_id: UUID
    project_id: UUID
    key_id: UUID | None
    scopes: frozenset[str]
