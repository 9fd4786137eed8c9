"""LangChain embeddings over the gateway, for vector stores and retrievers that require them."""

from langchain_core.embeddings import Embeddings

from pipelines._kit.job_models import JobModels


class GatewayEmbeddings(Embeddings):
    """The embedding model called `model` for one job; every call is metered to it."""

    def __init__(self, models: JobModels, model: str) -> None:
        self._models = models
        self._model = model

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """One vector for each text, in their order."""
        if not texts:
            return []
        vectors: list[list[float]] = self._models.embed(self._model, texts).tolist()
        return vectors

    def embed_query(self, text: str) -> list[float]:
        """The vector of one text."""
        return self.embed_documents([text])[0]
