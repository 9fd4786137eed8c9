"""Refusals of the registry."""

from core.kit.errors import CapabilityFailure, Conflict, NotFound, PermissionDenied


class ModelUnknown(CapabilityFailure):
    """No model answers to this name; the detail names those that do."""

    title, default_code = "Model unknown", "model_unknown"


class ModelNotFound(NotFound):
    """No such model that the organisation may see."""

    default_code = "model_not_found"


class VersionNotFound(NotFound):
    """The model has no such version."""

    default_code = "model_version_not_found"


class AliasNotFound(NotFound):
    """No such alias in the organisation."""

    default_code = "alias_not_found"


class PromptNotFound(NotFound):
    """No such prompt that the organisation may see."""

    default_code = "prompt_not_found"


class ModelNameTaken(Conflict):
    """There is a model of that name."""

    default_code = "model_name_taken"


class BelongsToEverybody(PermissionDenied):
    """Everybody's rows are the operator's to change."""

    default_code = "belongs_to_everybody"


class VersionRetired(Conflict):
    """A retired version is restored before anything else is done with it."""

    default_code = "version_retired"


class ChampionInUse(Conflict):
    """A champion is not retired before another version was promoted."""

    default_code = "champion_in_use"


class VersionPinned(Conflict):
    """An alias holds on to the version."""

    default_code = "version_pinned"


class NoPreviousChampion(Conflict):
    """There is nothing to go back to."""

    default_code = "no_previous_champion"


class ChampionChanged(Conflict):
    """Another version is the champion than the caller believed."""

    default_code = "champion_changed"
