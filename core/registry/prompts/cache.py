"""Finds the prompt that replaces a capability's file, from a short-lived cache."""

from collections.abc import Mapping
from uuid import UUID

from core.kit.db import Executor
from core.kit.errors import CapabilityFailure
from core.kit.memory import Memory
from core.registry.prompts import repository
from core.registry.prompts.records import ChosenPrompt

REMEMBER_SECONDS = 1.5
_ORGANIZATIONS_MAX = 1_000
_TEXTS_MAX = 2_000


class PromptUnknown(CapabilityFailure):
    """A version's prompt set, or an experiment, names a prompt that does not exist."""

    title, default_code = "Prompt unknown", "prompt_unknown"


class PromptCache:
    """The prompts of a process. Safe in threads."""

    def __init__(self) -> None:
        self._in_force: Memory[UUID, dict[str, ChosenPrompt]] = Memory(REMEMBER_SECONDS, entries_max=_ORGANIZATIONS_MAX)
        self._texts: dict[tuple[UUID, str, str], str] = {}

    def choose(
        self,
        executor: Executor,
        *,
        organization_id: UUID,
        name: str,
        prompt_set: Mapping[str, str],
        pinned: str | None = None,
    ) -> ChosenPrompt | None:
        """The prompt `name` that overrides the capability's file; None when the file is to be used.

        A `pinned` digest (an experiment's arm) comes first, then the digest in `prompt_set` (the model version's), then
        the organization's prompt in force. Raises `PromptUnknown` for a digest that no version has.
        """
        if pinned is not None:
            return self._by_digest(executor, organization_id, name, pinned, "pin")
        if name in prompt_set:
            return self._by_digest(executor, organization_id, name, prompt_set[name], "version")
        return self._of_organization(executor, organization_id).get(name)

    def evict(self) -> None:
        """Read again from now on. Texts stay cached, because they never change."""
        self._in_force.evict()

    def _of_organization(self, executor: Executor, organization_id: UUID) -> dict[str, ChosenPrompt]:
        return self._in_force.get(
            executor,
            organization_id,
            lambda executor: {
                name: ChosenPrompt(name, text, digest, "organization")
                for name, text, digest in repository.in_force(executor, organization_id)
            },
        ).value

    def _by_digest(
        self, executor: Executor, organization_id: UUID, name: str, digest: str, source: str
    ) -> ChosenPrompt:
        text = self._texts.get((organization_id, name, digest))
        if text is None:
            found = repository.by_digest(executor, organization_id, name, digest)
            if found is None:
                raise PromptUnknown(f"the prompt {name[:130]} has no version {digest[:80]}")
            if len(self._texts) >= _TEXTS_MAX:
                self._texts.clear()
            text = self._texts[organization_id, name, digest] = found.text
        return ChosenPrompt(name, text, digest, source)
