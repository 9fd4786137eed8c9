"""Classifies a short message into one of a closed list of intents, with a calibrated confidence.

Kernel ridge regression, one target per intent (Rifkin, Yeo and Poggio 2003, "Regularized least-squares
classification"). The kernel adds a Gaussian one over sentence embeddings, which captures what a message means, and a
linear one over its words, which separates messages that embeddings put side by side.

Confidence is calibrated without holding examples back: the scores that each example would get had it not been among the
examples follow in closed form from the inverse of the kernel matrix (Rasmussen and Williams 2006, section 5.4.2), and
one temperature is fitted to them (Guo et al. 2017, arXiv:1706.04599).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipelines.customer_operations.intents.words import WordVectors

# Chosen by the leave-one-out accuracy on the training half of banking77; ``docs/reference/intents.md`` has the figures.
_NARROWNESS = 1.5
_WORDS_WEIGHT = 0.5
_RIDGE = 0.2
_TEMPERATURES = np.geomspace(1.0, 64.0, 97)
_BLOCK = 2048


@dataclass(frozen=True, slots=True)
class Guess:
    """The most probable intent, its probability, and the others from the most probable down."""

    intent: str
    confidence: float
    others: tuple[tuple[str, float], ...]


class IntentClassifier:
    """Learns from labeled examples when it is created: 10,000 take half a minute, 300 take milliseconds.

    `vectors` are the unit embeddings of `texts`, one row each; all later embeddings must be of the same model.
    """

    def __init__(self, texts: Sequence[str], intents: Sequence[str], vectors: NDArray[np.float32]) -> None:
        if len(texts) != len(intents) or len(texts) != len(vectors):
            raise ValueError("each example needs its intent and its vector")
        self.intents = tuple(sorted(set(intents)))
        self._vectors = np.ascontiguousarray(vectors, dtype=np.float32)
        self._words = WordVectors(texts)
        numbers = {intent: number for number, intent in enumerate(self.intents)}
        self._wanted = np.array([numbers[intent] for intent in intents])
        kernel = self._kernel(self._vectors, self._words.examples)
        kernel[np.diag_indices_from(kernel)] += _RIDGE
        inverse = np.linalg.inv(kernel)
        del kernel
        targets = np.eye(len(self.intents), dtype=np.float32)[self._wanted]
        self._weights: NDArray[np.float32] = inverse @ targets
        left_out = targets - self._weights / np.diagonal(inverse)[:, None]
        self.left_out_accuracy = float((left_out.argmax(axis=1) == self._wanted).mean())
        self._temperature = _fit_temperature(left_out, self._wanted)

    def guess(self, texts: Sequence[str], vectors: NDArray[np.float32]) -> list[Guess]:
        """The intents of `texts`, whose unit embeddings are `vectors`."""
        return [self._ranked(row) for row in self.probabilities(texts, vectors)]

    def guess_together(self, texts: Sequence[str], vectors: NDArray[np.float32]) -> Guess:
        """The intent of one message by several of its parts, equally weighted."""
        return self._ranked(self.probabilities(texts, vectors).mean(axis=0))

    def probabilities(self, texts: Sequence[str], vectors: NDArray[np.float32]) -> NDArray[np.float64]:
        """The probability of each intent in the order of `intents`, shape (texts, intents)."""
        rows = []
        for begin in range(0, len(texts), _BLOCK):
            part = slice(begin, begin + _BLOCK)
            kernel = self._kernel(np.asarray(vectors[part], dtype=np.float32), self._words.of(texts[part]))
            rows.append(_softmax((kernel @ self._weights).astype(np.float64) * self._temperature))
        return np.concatenate(rows) if rows else np.zeros((0, len(self.intents)))

    def _ranked(self, row: NDArray[np.float64]) -> Guess:
        order = np.argsort(-row, kind="stable")
        ranked = tuple((self.intents[number], float(row[number])) for number in order)
        return Guess(ranked[0][0], ranked[0][1], ranked[1:])

    def _kernel(self, vectors: NDArray[np.float32], words: NDArray[np.float32]) -> NDArray[np.float32]:
        """The kernel of these texts with the examples, shape (texts, examples), computed in blocks to save memory."""
        kernel: NDArray[np.float32] = vectors @ self._vectors.T
        kernel -= 1
        kernel *= 2 * _NARROWNESS
        np.exp(kernel, out=kernel)
        for begin in range(0, len(words), _BLOCK):
            kernel[begin : begin + _BLOCK] += _WORDS_WEIGHT * (words[begin : begin + _BLOCK] @ self._words.examples.T)
        return kernel


def _fit_temperature(scores: NDArray[np.float32], wanted: NDArray[np.int64]) -> float:
    """The factor on the scores under which the wanted intents are most probable."""
    rows = np.arange(len(wanted))
    losses = [
        -np.log(_softmax(scores.astype(np.float64) * factor)[rows, wanted] + 1e-12).mean() for factor in _TEMPERATURES
    ]
    return float(_TEMPERATURES[int(np.argmin(losses))])


def _softmax(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    shares: NDArray[np.float64] = powers / powers.sum(axis=1, keepdims=True)
    return shares
