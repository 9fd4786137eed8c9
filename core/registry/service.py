"""Models and their versions: created and read, never changed."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from core.audit.actions import AuditAction
from core.audit.record import record
from core.kit.db import Executor
from core.kit.ids import MODEL, encode
from core.registry import repository
from core.registry.deployments import DeploymentCatalogue
from core.registry.digests import digest_of_facts
from core.registry.errors import ModelNameTaken, ModelNotFound, SharedReadOnly, VersionNotFound
from core.registry.prompts import repository as prompts
from core.registry.records import PRICE_PROVIDERS, Cause, Model, NewVersion, Owner, Stage, Version
from core.registry.stages import repository as stages
from core.registry.validation import require_name, require_valid


class ModelRegistry:
    """Creates and reads models and versions. `deployments` are those that a version may name."""

    def __init__(self, deployments: DeploymentCatalogue) -> None:
        self._deployments = deployments

    @property
    def deployments(self) -> DeploymentCatalogue:
        """The deployments that a version may name."""
        return self._deployments

    def complete(self, given: Mapping[str, Any]) -> NewVersion:
        """A version from the given members, completed from its deployment.

        `given` holds members of `NewVersion`; ``deployment`` and ``provider_model`` are required. `add_version`
        validates the result.
        """
        members = {name: value for name, value in given.items() if value is not None}
        deployment = self._deployments.find(members["deployment"])
        # Without its deployment, a version is refused whatever else it contains.
        provider = members.setdefault("provider", deployment.provider if deployment else "openai-compatible")
        members.setdefault("price_provider", PRICE_PROVIDERS.get(provider, provider))
        members.setdefault("price_model", members["provider_model"])
        if deployment is not None and deployment.region is not None:
            members.setdefault("regions", (deployment.region,))
        for name in ("abilities", "regions", "fallbacks"):
            if name in members:
                members[name] = tuple(members[name])
        return NewVersion(**members)

    def create(self, session: Session, owner: Owner, name: str, description: str = "") -> Model:
        """A new model without versions. Raises `ModelNameTaken`, and `Unprocessable` for an invalid name."""
        require_name(name, "body.name")
        made = repository.create(session, owner.organization_id, name, description)
        if made is None:
            raise ModelNameTaken(f"there is a model called {name}; add a version to it, or choose another name")
        write_audit(session, owner, AuditAction.MODEL_CREATE, made, {"name": name})
        return get_model(session, owner.organization_id, made)

    def add_version(self, session: Session, owner: Owner, model_id: UUID, new: NewVersion) -> Version:
        """A new candidate. It can never be changed.

        Raises `ModelNotFound`, `SharedReadOnly`, and `Unprocessable` that lists every fault.
        """
        model = get_own_model(session, owner, model_id)
        names = repository.known_names(session, owner.organization_id, new.fallbacks)
        require_valid(
            new,
            name=model.name,
            deployments=self._deployments,
            known_names=names,
            known_prompts=prompts.known(session, owner.organization_id, new.prompt_set.items()),
        )
        repository.lock(session, model_id)
        digest = digest_of_facts(facts_of(new))
        version_id, number = repository.add_version(session, owner.organization_id, model_id, new, digest)
        stages.begin(session, owner.organization_id, model_id, version_id)
        stages.add_change(session, owner, model_id, version_id, Stage.CANDIDATE, Cause.CREATED, "")
        facts = {
            "name": model.name,
            "version": number,
            "digest": digest,
            "deployment": new.deployment,
            "provider_model": new.provider_model,
            "data_class_ceiling": new.data_class_ceiling.value,
        }
        write_audit(session, owner, AuditAction.MODEL_VERSION_CREATE, model_id, facts)
        return get_version(session, owner.organization_id, model_id, number)


def get_model(session: Executor, organization_id: UUID | None, model_id: UUID) -> Model:
    """A model of the organization, or a shared one. Raises `ModelNotFound`."""
    found = repository.get(session, organization_id, model_id)
    if found is None:
        raise ModelNotFound(f"there is no model {encode(MODEL, model_id)} that you may see")
    return found


def get_own_model(session: Executor, owner: Owner, model_id: UUID) -> Model:
    """A model that `owner` may change. Raises `ModelNotFound` and `SharedReadOnly`."""
    found = get_model(session, owner.organization_id, model_id)
    if found.organization_id != owner.organization_id:
        raise SharedReadOnly(
            f"{found.name} is a shared model that only the operator can change; create your own of this name, or"
            " set an alias"
        )
    return found


def list_models(
    session: Executor, organization_id: UUID | None, *, name: str | None = None, cursor: UUID | None = None, limit: int
) -> list[Model]:
    """The organization's models and the shared ones, newest first, with ids below `cursor`."""
    return repository.list_models(session, organization_id, name=name, cursor=cursor, limit=limit)


def get_version(session: Executor, organization_id: UUID | None, model_id: UUID, number: int) -> Version:
    """A version of a model. Raises `VersionNotFound`, also if the caller may not see the model."""
    found = repository.version(session, organization_id, model_id, number)
    if found is None:
        raise VersionNotFound(f"there is no version {number} of the model {encode(MODEL, model_id)}")
    return found


def list_versions(
    session: Executor, organization_id: UUID | None, model_id: UUID, *, before: int | None = None, limit: int
) -> list[Version]:
    """A model's versions with numbers below `before`, latest first. Raises `ModelNotFound`."""
    get_model(session, organization_id, model_id)
    return repository.versions(session, organization_id, model_id, before=before, limit=limit)


def facts_of(new: NewVersion) -> dict[str, Any]:
    """The content of a version as JSON, with its sets in order: the input of its digest."""
    facts = asdict(new)
    facts["abilities"], facts["regions"] = sorted(new.abilities), sorted(new.regions)
    return {**facts, "data_class_ceiling": new.data_class_ceiling.value, "fallbacks": list(new.fallbacks)}


def write_audit(session: Session, owner: Owner, action: AuditAction, model_id: UUID, facts: dict[str, Any]) -> None:
    """Record a change of an organization's model. Changes of shared models are in no trail, only in their history."""
    if owner.organization_id is None:
        return
    record(
        session,
        owner.organization_id,
        None,
        action,
        subject_id=encode(MODEL, model_id),
        actor=owner.actor,
        detail=facts,
    )
