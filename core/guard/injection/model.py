"""A logistic regression on the features of a text. ``README.md`` documents the origin of ``weights.npz``."""

import math
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from core.guard.injection.features import BUCKETS, WIDTH, Row

WEIGHTS = "weights.npz"
_MAX_ROOT = 127


@dataclass(frozen=True, slots=True)
class Model:
    """`weights` has shape (WIDTH,). The bias is such that 0.5 is the threshold."""

    weights: NDArray[np.float32]
    bias: float

    def score(self, row: Row) -> float:
        """How likely a window is an attack, from 0 to 1."""
        return 1 / (1 + math.exp(-self.margin(row)))

    def margin(self, row: Row) -> float:
        """The log-odds, clipped to the range in which its exponential is finite."""
        return float(np.clip(self.weights[row.places] @ row.values + self.bias, -30, 30))

    def save(self, path: Path) -> None:
        """Write the weights; those of the buckets as int8 of their square roots, since most of them are small."""
        hashed = self.weights[:BUCKETS]
        scale = float(np.abs(hashed).max()) or 1.0
        roots = np.sign(hashed) * np.sqrt(np.abs(hashed) / scale)
        np.savez_compressed(
            path,
            roots=np.round(roots * _MAX_ROOT).astype(np.int8),
            scale=np.float32(scale),
            named=self.weights[BUCKETS:].astype(np.float32),
            bias=np.float32(self.bias),
        )

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a file of `save`. Raises ValueError for weights of other features than these."""
        with np.load(path, allow_pickle=False) as stored:
            roots = stored["roots"].astype(np.float32) / _MAX_ROOT
            weights = np.concatenate([np.sign(roots) * roots**2 * stored["scale"], stored["named"]])
            if weights.shape != (WIDTH,):
                raise ValueError(f"{path.name} holds {len(weights)} weights, not {WIDTH}: train again")
            return cls(weights, float(stored["bias"]))


@lru_cache(maxsize=1)
def load_model() -> Model:
    """The process's one copy, read on first use."""
    return Model.load(Path(str(files(__package__).joinpath(WEIGHTS))))
