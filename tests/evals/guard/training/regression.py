"""Logistic regression on sparse rows in numpy, by L-BFGS (Liu and Nocedal 1989)."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.guard.injection.features import BUCKETS, WIDTH, Row

_MEMORY = 8
_SUFFICIENT = 1e-4
# A form says more than a bucket of n-grams, and there are few of them: they are held back less.
_NAMED_RIDGE = 0.2

Vector = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Matrix:
    """Rows one after the other; the last column of the weights is the bias."""

    places: NDArray[np.int32]
    values: NDArray[np.float32]
    starts: NDArray[np.int64]
    lengths: NDArray[np.int64]

    @classmethod
    def of(cls, rows: Sequence[Row]) -> "Matrix":
        """Every row holds at least the places of its shape, hence none is empty."""
        lengths = np.array([len(row.places) for row in rows], np.int64)
        return cls(
            np.concatenate([row.places for row in rows]),
            np.concatenate([row.values for row in rows]),
            np.concatenate([[0], lengths.cumsum()[:-1]]).astype(np.int64),
            lengths,
        )

    def times(self, weights: Vector) -> Vector:
        """The margin of each row."""
        products = weights.astype(np.float32)[self.places] * self.values
        margins: Vector = np.add.reduceat(products, self.starts).astype(np.float64) + weights[WIDTH]
        return margins

    def transposed_times(self, of_rows: Vector) -> Vector:
        """What the rows' gradients add up to for each weight."""
        spread = np.repeat(of_rows.astype(np.float32), self.lengths) * self.values
        return np.concatenate([np.bincount(self.places, spread, WIDTH), [of_rows.sum()]])


def fit(matrix: Matrix, wanted: Vector, importance: Vector, ridge: float, steps: int = 40) -> Vector:
    """Weights of shape (WIDTH + 1,). `wanted` is 0 or 1 for each row, `importance` its weight in the loss."""
    importance = importance / importance.sum()
    held = np.full(WIDTH + 1, ridge)
    held[BUCKETS:WIDTH] *= _NAMED_RIDGE
    held[WIDTH] = 0
    signs = 2 * wanted - 1

    def loss(weights: Vector) -> tuple[float, Vector]:
        margins = signs * matrix.times(weights)
        value = float(importance @ np.logaddexp(0, -margins) + 0.5 * held @ weights**2)
        of_rows = -importance * signs / (1 + np.exp(np.clip(margins, -30, 30)))
        return value, matrix.transposed_times(of_rows) + held * weights

    weights = np.zeros(WIDTH + 1)
    value, gradient = loss(weights)
    history: deque[tuple[Vector, Vector]] = deque(maxlen=_MEMORY)
    for _ in range(steps):
        direction = -_scaled(gradient, history)
        slope, length = float(gradient @ direction), 1.0 if history else 1 / float(np.abs(gradient).max() + 1e-9)
        while True:
            moved = weights + length * direction
            new_value, new_gradient = loss(moved)
            if new_value <= value + _SUFFICIENT * length * slope or length < 1e-6:
                break
            length /= 2
        step, change = moved - weights, new_gradient - gradient
        if float(step @ change) > 0:
            history.append((step, change))
        done = value - new_value < 1e-6 * value
        weights, value, gradient = moved, new_value, new_gradient
        if done:
            break
    return weights


def _scaled(gradient: Vector, history: deque[tuple[Vector, Vector]]) -> Vector:
    """The gradient times what is known of the inverse of the curvature."""
    direction, shares = gradient.copy(), []
    for step, change in reversed(history):
        share = float(step @ direction) / float(step @ change)
        shares.append(share)
        direction -= share * change
    if history:
        step, change = history[-1]
        direction *= float(step @ change) / float(change @ change)
    for (step, change), share in zip(history, reversed(shares), strict=True):
        direction += (share - float(change @ direction) / float(step @ change)) * step
    return direction
