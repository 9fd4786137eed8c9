"""Embeddings from any endpoint that uses OpenAI's wire format."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import openai
from numpy.typing import NDArray

from core.capability import ModelUsage
from core.gateway.interruptible import interruptible, open_client
from core.gateway.models import Check
from core.gateway.providers import failures
from core.gateway.providers.estimator import CountTokens
from core.gateway.providers.json_reading import read_json
from core.gateway.providers.openai_compatible import FAILURES, read_key, translate

# OpenAI takes at most 2,048 texts in one request; fewer keep a request short enough to be cancelled promptly.
_BATCH = 256
# Five times the size of 256 vectors of 4,096 dimensions.
_MAX_ANSWER_BYTES = 128 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Embedded:
    """Unit vectors of shape (texts, dimensions), and their cost in ``embedding_tokens``."""

    vectors: NDArray[np.float32]
    usage: ModelUsage


class OpenAIEmbeddings:
    """One embedding model behind one endpoint. `dimensions` shortens the vectors of models that support it."""

    def __init__(
        self,
        *,
        base_url: str,
        api_key: str | Callable[[], str | None] | None,
        model: str,
        timeout_seconds: float,
        count_tokens: CountTokens,
        dimensions: int | None = None,
    ) -> None:
        self.name = model
        self._dimensions = dimensions
        self._count_tokens = count_tokens
        secret = read_key(api_key)

        self._client = openai.OpenAI(
            base_url=base_url,
            api_key=lambda: secret() or "none",
            max_retries=0,
            http_client=open_client(timeout_seconds),
        )

    def bound(self, texts: Sequence[str]) -> dict[str, int]:
        """The maximum cost of `texts`: a token for every byte, and two that some models put around each text."""
        return {"embedding_tokens": sum(len(text.encode()) + 2 for text in texts)}

    def embed(self, texts: Sequence[str], *, dimensions: int | None = None, check: Check) -> Embedded:
        """The vectors of `texts`, in batches; `dimensions` instead of the deployment's own.

        Raises `core.gateway.errors.GatewayError`.
        """
        rows: list[list[float]] = []
        tokens, estimated = 0, False
        for start in range(0, len(texts), _BATCH):
            check()
            batch = list(texts[start : start + _BATCH])
            answer = self._ask(batch, dimensions or self._dimensions, check)
            rows.extend(_vectors(answer, len(batch)))
            usage = answer.get("usage") if isinstance(answer, dict) else None
            reported = usage.get("prompt_tokens") if isinstance(usage, dict) else None
            if not isinstance(reported, int) or reported < 0:
                reported, estimated = sum(self._count_tokens(text) for text in batch), True
            tokens += reported
        vectors = np.asarray(rows, dtype=np.float32).reshape(len(rows), -1)
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        return Embedded(
            vectors / np.maximum(lengths, np.finfo(np.float32).tiny),
            ModelUsage(self.name, {"embedding_tokens": tokens}, estimated),
        )

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _ask(self, batch: list[str], dimensions: int | None, check: Check) -> Any:
        more: dict[str, Any] = {} if dimensions is None else {"dimensions": dimensions}
        try:
            with interruptible(check):
                # As JSON: the SDK would build an object for every vector.
                answer = self._client.post(
                    "/embeddings",
                    body={"model": self.name, "input": batch, "encoding_format": "float", **more},
                    cast_to=object,
                    stream=True,
                    stream_cls=_Whole,
                )
                return next(iter(answer))
        except (*FAILURES, ValueError, RecursionError) as error:
            failure = translate(error)
        # Outside the handler: an SDK's error holds the provider's words, and a traceback would show them.
        raise failure


class _Whole(openai.Stream[object]):
    """One unstreamed answer, read up to a size limit."""

    def __stream__(self) -> Iterator[object]:
        body = bytearray()
        try:
            for piece in self.response.iter_bytes():
                body += piece
                if len(body) > _MAX_ANSWER_BYTES:
                    raise ValueError("more bytes than any vectors have")
            yield read_json(bytes(body))
        finally:
            self.response.close()


def _vectors(answer: Any, count: int) -> list[list[float]]:
    data = answer.get("data") if isinstance(answer, dict) else None
    items = data if isinstance(data, list) else []
    rows: list[Any] = [item.get("embedding") if isinstance(item, dict) else None for item in items]
    if len(rows) != count or not all(isinstance(row, list) and len(row) == len(rows[0]) and row for row in rows):
        raise failures.not_the_protocol("vectors that do not belong to the texts")
    return rows
