from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from core.gateway.embeddings.cache import RecentVectors
from core.gateway.embeddings.minilm import MiniLM, load_minilm


class Counting(MiniLM):
    """The real model, noting what it was asked for."""

    def __init__(self) -> None:
        super().__init__(threads=1)
        self.computed: list[str] = []

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        self.computed += texts
        return super().embed(texts)


def test_vectors_are_those_of_the_model_in_the_order_of_the_texts() -> None:
    texts = ["harbour", "ferry", "harbour", "fee"]
    expected = load_minilm().embed(texts)
    vectors = RecentVectors(load_minilm())
    for _ in range(2):
        assert np.allclose(vectors.embed(texts), expected, atol=0.05)
    assert np.allclose(vectors.embed_query("ferry"), expected[1], atol=0.05)
    assert vectors.embed([]).shape == (0, 384)
    assert vectors.count_tokens("two words") == 2


def test_only_new_texts_are_computed_and_the_oldest_are_evicted() -> None:
    model = Counting()
    vectors = RecentVectors(model, size=2)
    vectors.embed(["a", "b", "a"])
    vectors.embed(["b", "a"])
    assert model.computed == ["a", "b"]
    vectors.embed(["c"])
    vectors.embed(["a"])
    vectors.embed(["b"])
    assert model.computed == ["a", "b", "c", "b"]


def test_several_threads_share_the_memory() -> None:
    vectors = RecentVectors(load_minilm(), size=5)
    texts = [f"text {number % 7}" for number in range(40)]
    expected = {text: load_minilm().embed_query(text) for text in texts}
    with ThreadPoolExecutor(4) as pool:
        for text, vector in zip(texts, pool.map(vectors.embed_query, texts), strict=True):
            assert np.allclose(vector, expected[text], atol=1e-5)
