"""The shipped examples, and the classifiers that learned from them.

``examples.npz`` holds the embeddings of ``examples.toml`` by the embedded model, which every worker would otherwise
compute again, in seconds. With other examples or another model it is ignored.
``python -m pipelines.customer_operations.intents.examples`` recreates it.
"""

import hashlib
import json
import tomllib
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Protocol

import numpy as np

from pipelines.customer_operations.intents.classifier import IntentClassifier

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

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
    """One classifier over `examples` for each embedding model, created on first use. Safe in several threads."""

    def __init__(self, examples: "Mapping[str, Sequence[str]]") -> None:
        self._examples = examples
        self._made: dict[str, IntentClassifier] = {}
        self._making = Lock()

    def get(self, model: str, embed: "Embed") -> IntentClassifier:
        """The classifier over vectors of `model`; `embed` computes those of the examples when there is none yet."""
        with self._making:
            found = self._made.get(model)
            if found is None:
                pairs = [(text, intent) for intent, texts in self._examples.items() for text in texts]
                texts = [text for text, _ in pairs]
                vectors = _read_vectors(model, texts)
                intents = [intent for _, intent in pairs]
                found = IntentClassifier(texts, intents, embed(texts) if vectors is None else vectors)
                self._made[model] = found
            return found


def write_vectors(model: str, embed: "Embed") -> None:
    """Write the vectors that `embed` computes of the shipped examples to ``examples.npz``."""
    texts = [text for messages in load_examples().values() for text in messages]
    np.savez_compressed(
        Path(__file__).with_name("examples.npz"), key=_key(model, texts), vectors=embed(texts).astype(np.float16)
    )


def _read_vectors(model: str, texts: "Sequence[str]") -> "NDArray[np.float32] | None":
    with files(__package__).joinpath("examples.npz").open("rb") as file, np.load(file) as stored:
        return stored["vectors"].astype(np.float32) if str(stored["key"]) == _key(model, texts) else None


def _key(model: str, texts: "Sequence[str]") -> str:
    return hashlib.sha256(json.dumps([model, *texts]).encode()).hexdigest()


if __name__ == "__main__":
    from core.gateway.embeddings.minilm import load_minilm

    write_vectors(load_minilm().name, load_minilm().embed)
