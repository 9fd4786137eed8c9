"""A project's policy, cached for at most two seconds."""

from uuid import UUID

from core.guard import repository
from core.guard.policy import TEMPLATES, CombinedPolicy, GuardPolicy
from core.kit.db import Executor
from core.kit.memory import Memory
from core.kit.settings import Settings

REMEMBER_SECONDS = 2.0
_PROJECTS_MAX = 10_000
_POLICIES_MAX = 500


class PolicyCache:
    """The policies of a process. Thread-safe: a race costs an extra query.

    Only the current versions are looked up again; a version never changes, and is read and prepared once.
    """

    def __init__(self, settings: Settings) -> None:
        self.floor = TEMPLATES[settings.guard_template]
        self._in_force: Memory[tuple[UUID, UUID], CombinedPolicy] = Memory(REMEMBER_SECONDS, entries_max=_PROJECTS_MAX)
        self._combined: dict[tuple[UUID, ...], CombinedPolicy] = {}

    def of(self, executor: Executor, organization_id: UUID, project_id: UUID) -> CombinedPolicy:
        """The operator's floor, the organization's policy and the project's, of which the strictest applies.

        Blocks on Postgres unless cached.
        """
        read = self._read
        key = organization_id, project_id
        return self._in_force.get(executor, key, lambda executor: read(executor, *key)).value

    def evict(self) -> None:
        """Discard the cached current versions."""
        self._in_force.evict()

    def _read(self, executor: Executor, organization_id: UUID, project_id: UUID) -> CombinedPolicy:
        ids = repository.in_force(executor, organization_id, project_id)
        known = self._combined.get(ids)
        if known is None:
            documents = [repository.document(executor, organization_id, each) for each in ids]
            policies = [GuardPolicy.model_validate(each) for each in documents]
            # An organization without a policy is protected from text that gives instructions, which needs no analyzer.
            known = CombinedPolicy([self.floor, *(policies or [GuardPolicy()])])
            if len(self._combined) >= _POLICIES_MAX:
                self._combined.clear()
            self._combined[ids] = known
        return known
