"""`models.embed`: turns texts into vectors of one model."""

import base64
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

from core.capability import JobContext
from core.registry.records import ResolvedModel
from pipelines._kit.resources import get_gateway
from pipelines.models.schemas import EmbedInput, EmbedOutput

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Models(Protocol):
    """The part of a job's models that is used here."""

    def resolve(self, name: str) -> ResolvedModel:
        """The model that answers to a name."""

    def embed(self, name: str, texts: Sequence[str], *, dimensions: int | None = None) -> "NDArray[Any]":
        """Texts to an array of shape (texts, dimensions)."""


class Gateway(Protocol):
    """The part of `core.gateway.service.Gateway` that is used here."""

    def for_job(self, ctx: JobContext) -> Models:
        """The models, for one attempt of one job."""


class Embed:
    """Runs an embedding. Safe in several threads."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    def run(self, ctx: JobContext, payload: EmbedInput) -> EmbedOutput:
        """Embed all texts. Raises the failures of `core.gateway.calls.JobModels.embed`."""
        models = self._gateway.for_job(ctx)
        name = models.resolve(payload.model).model
        vectors = models.embed(payload.model, payload.texts, dimensions=payload.dimensions).astype("<f4")
        return EmbedOutput(
            model=name,
            dimensions=int(vectors.shape[1]),
            vectors=[base64.b64encode(vector.tobytes()).decode() for vector in vectors],
        )


def build() -> Embed:
    """The entry point named by the manifest."""
    return Embed(get_gateway())
