"""Writes prompts: a version is added, never changed, and put in force only on request."""

import re
from collections.abc import Iterable
from uuid import UUID

from sqlalchemy.orm import Session

from core.audit.actions import AuditAction
from core.audit.record import Actor, record
from core.kit.db import Executor
from core.kit.errors import Unprocessable
from core.kit.ids import PROMPT, encode
from core.registry.digests import digest as digest_of
from core.registry.errors import PromptNotFound
from core.registry.prompts import repository
from core.registry.prompts.records import PromptVersion
from core.registry.records import Owner

TEXT_MAX = 65_536
_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}/[a-z][a-z0-9_]{0,63}", re.ASCII)


def add(session: Session, owner: Owner, name: str, text: str, *, takes_force: bool) -> PromptVersion:
    """A new version of the prompt `name`, without surrounding white space; in force at once with `takes_force`.

    A text that is already the newest version is not written again, unless it is to take force. Raises `Unprocessable`
    for an invalid name or text.
    """
    kept = text.strip()
    _check(name, kept)
    digest = digest_of(kept)
    repository.lock(session, owner.organization_id, name)
    if repository.last_digest(session, owner.organization_id, name) == digest:
        found = repository.by_digest(session, owner.organization_id, name, digest)
        if found is not None and (found.is_in_force or not takes_force):
            return found
    made = repository.add(session, owner.organization_id, name, kept, digest, takes_force, owner.actor)
    if owner.organization_id is not None:
        record(
            session,
            owner.organization_id,
            None,
            AuditAction.PROMPT_CREATE,
            subject_id=encode(PROMPT, made),
            actor=owner.actor,
            detail={"name": name, "digest": digest, "takes_force": takes_force},
        )
    return get(session, owner.organization_id, made)


def enforce(session: Session, owner: Owner, name: str, digest: str) -> PromptVersion:
    """Put an earlier version back in force, the organization's or a shared one: a new version with its text.

    Raises `PromptNotFound` when no version of the prompt has that digest.
    """
    found = repository.by_digest(session, owner.organization_id, name, digest)
    if found is None:
        raise PromptNotFound(f"the prompt {name[:130]} has no version {digest[:80]} that you may see")
    return add(session, owner, name, found.text, takes_force=True)


def get(session: Executor, organization_id: UUID | None, prompt_id: UUID) -> PromptVersion:
    """A version of the organization, or a shared one. Raises `PromptNotFound`."""
    found = repository.get(session, organization_id, prompt_id)
    if found is None:
        raise PromptNotFound(f"there is no prompt {encode(PROMPT, prompt_id)} that you may see")
    return found


def list_prompts(
    session: Executor, organization_id: UUID | None, *, name: str | None = None, cursor: UUID | None = None, limit: int
) -> list[PromptVersion]:
    """Versions of the organization, and shared ones, newest first, with ids below `cursor`."""
    return repository.list_prompts(session, organization_id, name=name, cursor=cursor, limit=limit)


def seed(session: Session, files: Iterable[tuple[str, str]]) -> int:
    """Add the texts of `files`, by name, as shared prompts; returns how many are new. Needs `Database.system`.

    Safe to repeat: only a text that differs from the newest version is written. The files themselves are still used
    where nothing overrides them; the rows can be named by a version's prompt set or an experiment.
    """
    operator = Owner(None, Actor("system"))
    added = 0
    for name, text in files:
        repository.lock(session, None, name)
        if repository.last_digest(session, None, name) != digest_of(text.strip()):
            add(session, operator, name, text, takes_force=True)
            added += 1
    return added


def _check(name: str, text: str) -> None:
    if _NAME.fullmatch(name) is None:
        raise _refused("name", "a prompt is called <folder>/<name>, for example knowledge/answer")
    if not 1 <= len(text) <= TEXT_MAX:
        raise _refused("text", f"a prompt has 1 to {TEXT_MAX:,} characters")


def _refused(field: str, message: str) -> Unprocessable:
    problem = {"path": f"body.{field}", "code": "prompt_invalid", "message": message}
    return Unprocessable(f"{problem['path']}: {message}", errors=[problem])
