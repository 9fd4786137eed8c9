"""Promotes, rolls back, retires and restores versions. Each action locks the model and leaves an audit record."""

from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from core.audit.actions import AuditAction
from core.kit.db import Executor
from core.kit.errors import Unprocessable
from core.registry import repository as models
from core.registry import service as registry
from core.registry.errors import ChampionChanged, ChampionInUse, NoPreviousChampion, VersionPinned, VersionRetired
from core.registry.records import Cause, Model, Owner, Stage, StageChange, Version
from core.registry.stages import lineage, repository

REASON_MAX = 1000


def promote(
    session: Session, owner: Owner, model_id: UUID, number: int, *, reason: str, expected: int | None = None
) -> Model:
    """Make a version the champion; the previous one becomes a candidate. For the current champion it does nothing.

    `expected`: the champion as the caller knows it; `ChampionChanged` when it is another. Raises `VersionNotFound` and
    `VersionRetired`.
    """
    model, version = _locked(session, owner, model_id, reason, number)
    assert version is not None
    _require_champion(model, expected)
    if version.stage is Stage.RETIRED:
        raise VersionRetired(f"version {number} of {model.name} is retired; restore it before it is promoted")
    if version.id == model.champion_id:
        return model
    facts = {"version": number, "was": model.champion}
    return _enthrone(session, owner, model, version.id, Cause.PROMOTED, reason, facts)


def rollback(session: Session, owner: Owner, model_id: UUID, *, reason: str, expected: int | None = None) -> Model:
    """Go back to the previous champion, skipping retired versions; the current champion becomes a candidate.

    A second rollback goes back further (see `lineage.reign`). `expected`: the champion to roll back, so that two people
    who see the same problem do not go back twice: `ChampionChanged` when it is another. Raises
    `NoPreviousChampion`.
    """
    model, _ = _locked(session, owner, model_id, reason)
    _require_champion(model, expected)
    found = lineage.previous(
        repository.reigns(session, owner.organization_id, model_id), repository.retired(session, model_id)
    )
    if found is None:
        raise NoPreviousChampion(f"{model.name} has no champion before this one that is not retired; promote a version")
    facts = {"was": model.champion}
    return _enthrone(session, owner, model, found, Cause.ROLLED_BACK, reason, facts)


def retire(session: Session, owner: Owner, model_id: UUID, number: int, *, reason: str) -> Version:
    """Take a version out of use. Jobs that pinned it by its id still get it. Does nothing for a retired one.

    Raises `VersionNotFound`, `ChampionInUse`, and `VersionPinned` that names the aliases which pin it.
    """
    model, version = _locked(session, owner, model_id, reason, number)
    assert version is not None
    if version.stage is Stage.RETIRED:
        return version
    if version.id == model.champion_id:
        raise ChampionInUse(f"version {number} is the champion of {model.name}; promote another one first")
    held = repository.aliases_on(session, owner.organization_id, version.id)
    if held:
        raise VersionPinned(f"version {number} of {model.name} is pinned by: {', '.join(held)}; change these first")
    return _move(session, owner, model, version, Stage.RETIRED, Cause.RETIRED, reason)


def restore(session: Session, owner: Owner, model_id: UUID, number: int, *, reason: str) -> Version:
    """Make a retired version a candidate again; does nothing for any other. Raises `VersionNotFound`."""
    model, version = _locked(session, owner, model_id, reason, number)
    assert version is not None
    if version.stage is not Stage.RETIRED:
        return version
    return _move(session, owner, model, version, Stage.CANDIDATE, Cause.RESTORED, reason)


def history(
    session: Executor, organization_id: UUID | None, model_id: UUID, *, before: int | None = None, limit: int
) -> list[StageChange]:
    """A model's changes with numbers below `before`, latest first. Raises `ModelNotFound`."""
    registry.get_model(session, organization_id, model_id)
    return repository.history(session, organization_id, model_id, before=before, limit=limit)


def _locked(
    session: Session, owner: Owner, model_id: UUID, reason: str, number: int | None = None
) -> tuple[Model, Version | None]:
    if len(reason) > REASON_MAX:
        problem = {"path": "body.reason", "code": "reason_too_long", "message": f"at most {REASON_MAX} characters"}
        raise Unprocessable(f"{problem['path']}: {problem['message']}", errors=[problem])
    registry.get_own_model(session, owner, model_id)
    models.lock(session, model_id)
    # Read again under the lock: its previous holder may have changed the champion.
    model = registry.get_own_model(session, owner, model_id)
    if number is None:
        return model, None
    return model, registry.get_version(session, owner.organization_id, model_id, number)


def _require_champion(model: Model, expected: int | None) -> None:
    if expected is not None and model.champion != expected:
        now = "none" if model.champion is None else f"version {model.champion}"
        raise ChampionChanged(f"the champion of {model.name} is {now}, not version {expected}", champion=model.champion)


def _enthrone(  # noqa: PLR0917 - one act
    session: Session, owner: Owner, model: Model, version_id: UUID, cause: Cause, reason: str, facts: dict[str, Any]
) -> Model:
    if model.champion_id is not None:
        repository.set_stage(session, model.id, model.champion_id, Stage.CANDIDATE)
        repository.add_change(session, owner, model.id, model.champion_id, Stage.CANDIDATE, Cause.SUPERSEDED, reason)
    repository.set_stage(session, model.id, version_id, Stage.CHAMPION)
    repository.add_change(session, owner, model.id, version_id, Stage.CHAMPION, cause, reason)
    changed = registry.get_model(session, owner.organization_id, model.id)
    action = AuditAction.MODEL_PROMOTE if cause is Cause.PROMOTED else AuditAction.MODEL_ROLLBACK
    registry.write_audit(
        session, owner, action, model.id, {**facts, "name": model.name, "version": changed.champion, "reason": reason}
    )
    return changed


def _move(  # noqa: PLR0917 - one act
    session: Session, owner: Owner, model: Model, version: Version, stage: Stage, cause: Cause, reason: str
) -> Version:
    repository.set_stage(session, model.id, version.id, stage)
    repository.add_change(session, owner, model.id, version.id, stage, cause, reason)
    is_end = cause is Cause.RETIRED
    action = AuditAction.MODEL_VERSION_RETIRE if is_end else AuditAction.MODEL_VERSION_RESTORE
    facts = {"name": model.name, "version": version.number, "reason": reason}
    registry.write_audit(session, owner, action, model.id, facts)
    return registry.get_version(session, owner.organization_id, model.id, version.number)
