"""The caller: the result of authentication, passed to every service."""

from dataclasses import dataclass, field
from uuid import UUID

from core.audit.record import Actor, ActorKind
from core.kit.data_classes import DataClass


@dataclass(frozen=True, slots=True)
class Principal:
    """A caller. Every query is scoped by `organization_id` and, where rows belong to a project, by `project_id`.

    `actor_id` is the name in audit records: the id of a key or member, or a digest of a subject, never a name or
    address. `capabilities` are those it may use, and whose jobs it may see; None means all. `asked_by` is the caller on
    whose behalf a worker or the dispatcher acts. `clearance` is the highest class of results that it may read; only
    keys have a lower one. `ends_at` is when a token expires, in Unix seconds; a key's end is looked up, because it may
    come sooner.
    """

    organization_id: UUID
    project_id: UUID
    key_id: UUID | None
    scopes: frozenset[str]
    actor_kind: ActorKind = "system"
    actor_id: str | None = None
    capabilities: frozenset[str] | None = None
    is_project_archived: bool = False
    ends_at: float | None = field(default=None, compare=False)
    asked_by: str | None = None
    clearance: DataClass = DataClass.RESTRICTED

    @property
    def actor(self) -> Actor:
        """The caller as audit records name it."""
        return Actor(self.actor_kind, self.actor_id)

    @property
    def submitter(self) -> str | None:
        """The key or person behind the request, even where another process acts for it; None for the platform."""
        return self.actor_id if self.actor_kind in {"key", "user"} else self.asked_by

    @property
    def has_project(self) -> bool:
        """Whether the caller named a project.

        Otherwise `project_id` is its organization's id: no project has that id, so no project's rows are found under
        it, and its idempotency keys never meet anyone else's.
        """
        return self.project_id != self.organization_id

    def may_use(self, capability: str) -> bool:
        """Whether it may use `capability`."""
        return self.capabilities is None or capability in self.capabilities
