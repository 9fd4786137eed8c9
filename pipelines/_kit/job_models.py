"""The gateway as the adapters use it: the models of one running job, metered to it and ended with it."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from core.gateway.models import ChatRequest, ChatStream

if TYPE_CHECKING:
    from numpy.typing import NDArray


@runtime_checkable
class JobModels(Protocol):
    """The interface of ``gateway.for_job(ctx)``. `name` is an alias or a model's name; unknown ones are refused."""

    def chat(self, name: str, request: ChatRequest) -> AbstractContextManager[ChatStream]:
        """Start an answer. Leaving the block ends the provider's stream and settles the call."""

    def embed(self, name: str, texts: Sequence[str]) -> "NDArray[Any]":
        """Texts to an array of shape (texts, dimensions)."""
