"""Errors of the registry."""

from core.kit.errors import CapabilityFailure, Conflict, NotFound, PermissionDenied


class ModelUnknown(CapabilityFailure):
    """The name resolves to no model. The detail lists the names that do."""

    title, default_code = "Model unknown", "model_unknown"


class ModelNotFound(NotFound):
    """No such model that the organization may see."""

    default_code = "model_not_found"


class VersionNotFound(NotFound):
    """The model has no such version."""

    default_code = "model_version_not_found"


class AliasNotFound(NotFound):
    """No such alias in the organization."""

    default_code = "alias_not_found"


class PromptNotFound(NotFound):
    """No such prompt that the organization may see."""

    default_code = "prompt_not_found"


class ModelNameTaken(Conflict):
    """A model of that name already exists."""

    default_code = "model_name_taken"


class SharedReadOnly(PermissionDenied):
    """Shared rows can only be changed by the operator."""

    default_code = "shared_resource"


class VersionRetired(Conflict):
    """A retired version must be restored before anything else."""

    default_code = "version_retired"


class ChampionInUse(Conflict):
    """The champion cannot be retired before another version was promoted."""

    default_code = "champion_in_use"


class VersionPinned(Conflict):
    """An alias pins the version."""

    default_code = "version_pinned"


class NoPreviousChampion(Conflict):
    """There is no earlier champion."""

    default_code = "no_previous_champion"


class ChampionChanged(Conflict):
    """The champion is not the version that the caller named."""

    default_code = "champion_changed"
