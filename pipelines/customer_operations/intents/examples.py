"""The shipped examples, and the classifiers that learned from them."""

import tomllib
from functools import lru_cache
from importlib.resources import files
from threading import Lock
from typing import TYPE_CHECKING, Protocol

from pipelines.customer_operations.intents.classifier import IntentClassifier

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    Embed = Callable[[Sequence[str]], NDArray[np.float32]]


class LocalEmbedder(Protocol):
    """The part of `core.gateway.models.Embedder` that is used here."""

    @property
    def name(self) -> str:
        """The model."""

    def embed(self, texts: "Sequence[str]") -> "NDArray[np.float32]":
        """Texts to unit vectors, one row each."""


@lru_cache(maxsize=1)
def load_examples() -> dict[str, list[str]]:
    """The messages of ``examples.toml`` by intent."""
    read = tomllib.loads(files(__package__).joinpath("examples.toml").read_text(encoding="utf-8"))
    return {str(intent): [str(message) for message in messages] for intent, messages in read.items()}


class Classifiers:
    """One classifier over `examples` for each embedding model, made when first used. Safe in several threads."""

    def __init__(self, examples: "Mapping[str, Sequence[str]]") -> None:
        self._examples = examples
        self._made: dict[str, IntentClassifier] = {}
        self._making = Lock()

    def get(self, model: str, embed: "Embed") -> IntentClassifier:
        """The classifier over vectors of `model`; `embed` makes those of the examples when there is none yet."""
        with self._making:
            found = self._made.get(model)
            if found is None:
                pairs = [(text, intent) for intent, texts in self._examples.items() for text in texts]
                texts = [text for text, _ in pairs]
                found = IntentClassifier(texts, [intent for _, intent in pairs], embed(texts))
                self._made[model] = found
            return found
