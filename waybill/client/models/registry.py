"""Models, versions, aliases, deployments and prompts."""

from datetime import datetime

from waybill.client.models.base import Resource


class Model(Resource):
    """A model; `champion` is the number of the version that answers to its name."""

    id: str
    name: str
    description: str = ""
    champion: int | None = None
    champion_id: str | None = None
    version_count: int = 0
    applies_to: str = ""
    created_at: datetime | None = None


class ModelVersion(Resource):
    """A version of a model: what it says never changes, its stage does."""

    id: str
    model_id: str
    version: int
    stage: str
    provider: str
    deployment: str
    provider_model: str
    context_window: int | None = None
    data_class_ceiling: str = ""
    priced: bool = False
    digest: str = ""


class StageChange(Resource):
    """A line of a model's history."""

    number: int
    version: int
    stage: str
    cause: str
    reason: str = ""
    actor_kind: str = ""
    actor_id: str | None = None
    changed_at: datetime | None = None


class Alias(Resource):
    """A name for a model, in an organization, a project or one capability."""

    id: str
    alias: str
    model: str
    version: int | None = None
    project_id: str | None = None
    capability: str | None = None
    applies_to: str = ""


class ResolvedModel(Resource):
    """What a name means, and `because` of what."""

    name: str
    model: str
    version: int | None = None
    deployment: str = ""
    provider_model: str = ""
    because: str = ""


class Deployment(Resource):
    """A place where a provider is reached."""

    name: str
    provider: str
    region: str | None = None
    data_class_ceiling: str = ""


class Prompt(Resource):
    """A version of a prompt."""

    id: str
    name: str
    version: int
    digest: str
    text: str
    in_force: bool = False
    applies_to: str = ""
    created_at: datetime | None = None
