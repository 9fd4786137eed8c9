"""Retrieval over a handful of texts in memory, so that answers can be measured without a stack."""

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from core.gateway.embeddings.cache import RecentVectors
from core.gateway.embeddings.minilm import load_minilm
from core.gateway.extraction.words import content_words
from core.gateway.models import Passage
from pipelines.knowledge.documents.chunks import split_document
from pipelines.knowledge.documents.readers import read

SAMPLES = Path(__file__).parents[2] / "samples"
PASSAGES = 8


class PassageIndex:
    """Passages found by meaning and by words, both ranks fused. `texts` is what is embedded of each passage."""

    def __init__(self, passages: Sequence[Passage], texts: Sequence[str]) -> None:
        self.passages = list(passages)
        self._model = RecentVectors(load_minilm())
        self._vectors = self._model.embed(texts)
        self._words = [Counter(content_words(text)) for text in texts]
        self._frequency = Counter(word for found in self._words for word in found)

    def find(self, question: str, *, among: Callable[[Passage], bool] = lambda _: True) -> list[Passage]:
        """The eight best passages, best first, of those that `among` allows."""
        allowed = [index for index, passage in enumerate(self.passages) if among(passage)]
        near = sorted(allowed, key=(-(self._vectors @ self._model.embed_query(question))).__getitem__)
        total = len(self.passages)
        asked = {w: math.log(total / self._frequency[w]) for w in content_words(question) if self._frequency[w]}
        scores = [sum(worth * min(found[word], 2) for word, worth in asked.items()) for found in self._words]
        worded = sorted(allowed, key=lambda index: -scores[index])
        fusion: Counter[int] = Counter()
        for order in (near, worded):
            fusion.update({index: 1 / (60 + rank) for rank, index in enumerate(order[:100], start=1)})
        return [self.passages[index] for index, _ in fusion.most_common(PASSAGES)]


@lru_cache(maxsize=1)
def sample_corpus() -> PassageIndex:
    """The documents of the samples, read and split as an ingest does."""
    return document_index(*sorted((SAMPLES / "corpus").iterdir()))


def document_index(*paths: Path) -> PassageIndex:
    """Some documents, read and split as an ingest does."""
    return _index({path.name: path.read_bytes() for path in paths})


def text_index(name: str, text: str) -> PassageIndex:
    """One text, read and split as a document of that name."""
    return _index({name: text.encode()})


def squad_index(articles: Sequence[Any]) -> PassageIndex:
    """The paragraphs of all articles in SQuAD's layout; paragraph 2 of article 7 is passage `7#2`."""
    passages = [
        Passage(f"{number}#{place}", paragraph["context"], f"article {number}")
        for number, article in enumerate(articles)
        for place, paragraph in enumerate(article["paragraphs"])
    ]
    return PassageIndex(passages, [passage.text for passage in passages])


def _index(contents: Mapping[str, bytes]) -> PassageIndex:
    passages: list[Passage] = []
    texts: list[str] = []
    for name, content in contents.items():
        for chunk in split_document(read(content, name=name)):
            passages.append(Passage(f"{name}#{chunk.index}", chunk.text, name, chunk.page, chunk.section))
            texts.append(chunk.embedding_text)
    assert np.unique([passage.id for passage in passages]).size == len(passages)
    return PassageIndex(passages, texts)
