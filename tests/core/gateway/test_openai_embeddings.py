import numpy as np
import pytest

from core.capability import JobCancelled
from core.gateway.errors import ProviderUnavailable
from core.gateway.providers.openai_embeddings import OpenAIEmbeddings
from tests.factories.provider_simulator import Answer, Failure, ProviderSimulator, count_words


def embeddings_at(server: ProviderSimulator) -> OpenAIEmbeddings:
    return OpenAIEmbeddings(
        base_url=server.base_url, api_key="secret", model="small", timeout_seconds=5, count_tokens=count_words
    )


def test_texts_become_unit_vectors_in_their_order_and_are_metered_as_embedding_tokens() -> None:
    texts = [f"text number {number}" for number in range(300)]
    with ProviderSimulator() as server:
        model = embeddings_at(server)
        embedded = model.embed(texts, check=lambda: None)
        again = model.embed(texts[-1:], check=lambda: None)
        model.close()
    assert embedded.vectors.shape == (300, 8)
    assert embedded.vectors.dtype == np.float32
    assert np.allclose(np.linalg.norm(embedded.vectors, axis=1), 1)
    assert np.allclose(embedded.vectors[-1], again.vectors[0])
    assert embedded.usage.quantities == {"embedding_tokens": 900}
    assert not embedded.usage.estimated
    assert len(server.requests) == 3
    assert server.bill().input == 903
    assert model.bound(texts)["embedding_tokens"] >= 900


def test_a_refusal_is_translated_and_cancelling_stops_between_batches() -> None:
    def stop() -> None:
        raise JobCancelled

    with ProviderSimulator(Failure(status=429, retry_after="3"), Answer("")) as server:
        model = embeddings_at(server)
        with pytest.raises(ProviderUnavailable) as caught:
            model.embed(["text"], check=lambda: None)
        with pytest.raises(JobCancelled):
            model.embed(["text"], check=stop)
        model.close()
    assert caught.value.retry_after_seconds == 3
    assert len(server.requests) == 1
