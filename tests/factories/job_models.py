"""The models of a job without a registry: one provider, every call metered to the job's context."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from numpy.typing import NDArray

from core.capability import JobContext
from core.gateway.models import ChatRequest, ChatStream, Provider
from core.gateway.providers.openai_compatible import OpenAICompatible
from core.gateway.providers.openai_embeddings import OpenAIEmbeddings
from tests.factories.provider_simulator import ProviderSimulator, count_words


class OneProvider:
    """Implements `pipelines._kit.job_models.JobModels`; `names` are the names that were asked for."""

    def __init__(self, ctx: JobContext, provider: Provider, embeddings: OpenAIEmbeddings) -> None:
        self.names: list[str] = []
        self._ctx = ctx
        self._provider = provider
        self._embeddings = embeddings

    @contextmanager
    def chat(self, name: str, request: ChatRequest) -> Iterator[ChatStream]:
        self.names.append(name)
        with (
            self._ctx.call_model(name, self._provider.bound(request)) as call,
            self._provider.stream(request, check=self._ctx.check) as stream,
        ):
            try:
                yield stream
            finally:
                stream.close()
                call.report(stream.usage.to_model_usage())

    def embed(self, name: str, texts: Sequence[str]) -> NDArray[Any]:
        self.names.append(name)
        with self._ctx.call_model(name, self._embeddings.bound(texts)) as call:
            embedded = self._embeddings.embed(texts, check=self._ctx.check)
            call.report(embedded.usage)
            return embedded.vectors


@contextmanager
def models_at(server: ProviderSimulator, ctx: JobContext) -> Iterator[OneProvider]:
    """The models of `ctx`, all of them answered by the simulator."""
    options: Any = {"base_url": server.base_url, "api_key": "secret", "timeout_seconds": 5, "count_tokens": count_words}
    provider, embeddings = OpenAICompatible(model="m", **options), OpenAIEmbeddings(model="e", **options)
    try:
        yield OneProvider(ctx, provider, embeddings)
    finally:
        provider.close()
        embeddings.close()
