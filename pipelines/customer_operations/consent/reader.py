"""A model that predicts whether a text requests an action: MiniLM, fine-tuned on messages that do and that do not.

``requests.npz`` holds the weights that the fine-tuning changed: the upper four of the six layers, int8, and two linear
heads over the features of the last one. One head predicts for each action how likely it is requested, the other the
manner of the text. ``tests/evals/customer_operations/training`` holds the messages and the script that made the file.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from importlib.resources import files
from typing import TYPE_CHECKING

import numpy as np

from core.gateway.embeddings.minilm import MiniLM

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Batch size: more texts at once only need more memory.
_BATCH = 16


class Action(StrEnum):
    """An action that a customer can request. The order is that of the model's outputs."""

    CANCEL = "cancel"
    REFUND = "refund"
    ADDRESS = "address"
    REPORT = "report"


class Manner(StrEnum):
    """How a text mentions an action. The order is that of the model's outputs."""

    REQUEST = "request"
    NEGATION = "negation"
    QUESTION = "question"
    CONDITION = "condition"
    HYPOTHETICAL = "hypothetical"
    FUTURE = "future"
    PAST = "past"
    THIRD_PARTY = "third_party"
    WITHDRAWAL = "withdrawal"
    SARCASM = "sarcasm"
    UNCERTAIN = "uncertain"
    INJECTION = "injection"
    THANKS = "thanks"
    CONTENT = "content"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Reading:
    """The actions that a text requests. `asks` are independent probabilities; those of `manners` add up to 1.

    Of a text of more than 256 tokens the rest is not read: `is_whole` is false.
    """

    asks: Mapping[Action, float]
    manners: Mapping[Manner, float]
    is_whole: bool

    @property
    def manner(self) -> Manner:
        """The most probable manner."""
        return max(self.manners, key=lambda manner: self.manners[manner])


class RequestReader:
    """Safe in several threads."""

    def __init__(self) -> None:
        with files(__package__).joinpath("requests.npz").open("rb") as file, np.load(file) as stored:
            weights = {name: stored[name] for name in stored.files}
        self._asks = weights.pop("asks_weight"), weights.pop("asks_bias")
        self._manners = weights.pop("manners_weight"), weights.pop("manners_bias")
        self._model = MiniLM(tuned=weights)

    def read(self, texts: Sequence[str]) -> list[Reading]:
        """Read each text by itself."""
        readings: list[Reading] = []
        for begin in range(0, len(texts), _BATCH):
            features, whole = self._model.features(texts[begin : begin + _BATCH])
            asks = 1 / (1 + np.exp(-_linear(features, *self._asks)))
            scores = np.exp(_linear(features, *self._manners))
            manners = scores / scores.sum(axis=1, keepdims=True)
            readings.extend(
                Reading(
                    dict(zip(Action, map(float, asks[row]), strict=True)),
                    dict(zip(Manner, map(float, manners[row]), strict=True)),
                    bool(whole[row]),
                )
                for row in range(len(features))
            )
        return readings


@lru_cache(maxsize=1)
def load_reader() -> RequestReader:
    """The process's one copy. Raises `Unavailable` when the weights of MiniLM are not installed."""
    return RequestReader()


def _linear(
    features: "NDArray[np.float32]", weights: "NDArray[np.float32]", bias: "NDArray[np.float32]"
) -> "NDArray[np.float64]":
    return (features @ weights + bias).astype(np.float64)
