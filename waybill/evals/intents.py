"""Measures how well the classifier of `customer_operations.resolve` distinguishes intents of short messages.

Reads a data set of the banking77 layout (Casanueva et al. 2020, arXiv:2003.04807): ``train.csv`` and ``test.csv`` with
the columns ``text`` and ``category``. The classifier, its constants included, sees only the training half.
"""

import csv
import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from pipelines.customer_operations.intents.classifier import IntentClassifier
from waybill.evals.files import UnreadableData
from waybill.evals.metrics import Mean, bootstrap_mean

Progress = Callable[[str, int, int], None]
_BATCH = 64
_BINS = 10
_CONFUSED = 10


class Embedder(Protocol):
    """The part of `core.gateway.models.Embedder` that is used here."""

    @property
    def name(self) -> str:
        """The model."""

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Texts to unit vectors, one row each."""


@dataclass(frozen=True, slots=True)
class Report:
    """The measurements on the test half.

    `calibration_error` is the expected calibration error over ten bins (Guo et al. 2017); `covered_at_95` is the share
    of messages that can be answered without a person when 95 in 100 of those answered must be right, choosing by
    confidence. `confused` are the pairs (wanted, guessed, times) that are mistaken most.
    """

    data: str
    embedding_model: str
    train: int
    test: int
    intents: int
    accuracy: Mean
    left_out_accuracy: float
    calibration_error: float
    covered_at_95: float
    confused: tuple[tuple[str, str, int], ...]
    embedding_seconds: float
    learning_seconds: float
    guess_ms: float

    def as_json(self) -> dict[str, Any]:
        """The report as a dictionary."""
        return asdict(self)


def run_intents_eval(
    data: Path, embedder: Embedder, *, cache: Path | None = None, progress: Progress | None = None
) -> Report:
    """Learn from the training half of folder `data`, guess the test half, and compare.

    `cache` is a folder that keeps embeddings between runs, under the digest of model and texts. `progress` receives
    (what, done, total). Raises `waybill.evals.files.UnreadableData`.
    """
    report = progress or _silently
    learned, asked = _read(data / "train.csv"), _read(data / "test.csv")
    began = perf_counter()
    vectors = _embed([text for text, _ in learned], embedder, cache, partial(report, "train"))
    queries = _embed([text for text, _ in asked], embedder, cache, partial(report, "test"))
    embedded = perf_counter()
    classifier = IntentClassifier([text for text, _ in learned], [intent for _, intent in learned], vectors)
    trained = perf_counter()
    probabilities = classifier.probabilities([text for text, _ in asked], queries)
    guessed = perf_counter()
    names = np.array(classifier.intents)
    wanted = np.array([intent for _, intent in asked])
    best = names[probabilities.argmax(axis=1)]
    right, confidence = best == wanted, probabilities.max(axis=1)
    mistakes = Counter(zip(wanted[~right].tolist(), best[~right].tolist(), strict=True))
    return Report(
        data=data.name,
        embedding_model=embedder.name,
        train=len(learned),
        test=len(asked),
        intents=len(names),
        accuracy=bootstrap_mean(right.astype(float).tolist()),
        left_out_accuracy=classifier.left_out_accuracy,
        calibration_error=calibration_error(confidence, right),
        covered_at_95=covered(confidence, right, 0.95),
        confused=tuple((*pair, times) for pair, times in mistakes.most_common(_CONFUSED)),
        embedding_seconds=round(embedded - began, 1),
        learning_seconds=round(trained - embedded, 1),
        guess_ms=round((guessed - trained) * 1000 / len(asked), 3),
    )


def calibration_error(confidence: NDArray[np.float64], right: NDArray[np.bool_]) -> float:
    """The mean distance between confidence and accuracy over ten bins of confidence, weighted by their size."""
    bins = np.minimum((confidence * _BINS).astype(int), _BINS - 1)
    parts = (bins == number for number in range(_BINS))
    gaps = ((abs(confidence[part].mean() - right[part].mean()), part.mean()) for part in parts if part.any())
    return float(sum(gap * share for gap, share in gaps))


def covered(confidence: NDArray[np.float64], right: NDArray[np.bool_], accuracy: float) -> float:
    """The largest share of the most confident guesses that are right with at least `accuracy`."""
    order = np.argsort(-confidence, kind="stable")
    running = np.cumsum(right[order]) / np.arange(1, len(right) + 1)
    enough = np.flatnonzero(running >= accuracy)
    return float((enough[-1] + 1) / len(right)) if enough.size else 0.0


def _read(path: Path) -> list[tuple[str, str]]:
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = [(row["text"], row["category"]) for row in csv.DictReader(file)]
    except (OSError, UnicodeDecodeError, KeyError, csv.Error) as error:
        raise UnreadableData(f"{path} cannot be read as text,category ({type(error).__name__})") from error
    if not rows:
        raise UnreadableData(f"{path} holds no rows")
    return rows


def _embed(
    texts: Sequence[str], embedder: Embedder, cache: Path | None, report: Callable[[int, int], None]
) -> NDArray[np.float32]:
    kept = None
    if cache is not None:
        digest = hashlib.sha256("\x00".join([embedder.name, *texts]).encode()).hexdigest()
        kept = cache / f"{digest}.npy"
        if kept.is_file():
            found: NDArray[np.float32] = np.load(kept, allow_pickle=False)
            return found
    # Texts of similar length share a batch, or the short ones would be computed as long as the longest.
    order = sorted(range(len(texts)), key=lambda index: len(texts[index]))
    vectors: NDArray[np.float32] | None = None
    done = 0
    for rows in _batches(order):
        part = embedder.embed([texts[row] for row in rows])
        if vectors is None:
            vectors = np.zeros((len(texts), part.shape[1]), dtype=np.float32)
        vectors[rows] = part
        done += len(rows)
        report(done, len(texts))
    assert vectors is not None
    if kept is not None:
        kept.parent.mkdir(parents=True, exist_ok=True)
        np.save(kept, vectors, allow_pickle=False)
    return vectors


def _batches(order: list[int]) -> Iterator[list[int]]:
    for begin in range(0, len(order), _BATCH):
        yield order[begin : begin + _BATCH]


def _silently(_what: str, _done: int, _total: int) -> None:
    """Report nothing."""
