"""Opens the door: which models this process talks to, by its settings."""

from threading import Lock

from core.gateway.models import ChatModel, Embedder
from core.kit.errors import Unavailable
from core.kit.settings import Settings


class Gateway:
    """The models of a process. Cheap to open; each model is loaded when it is first asked for, after any fork."""

    def __init__(self, settings: Settings, *, embedding_threads: int | None = None) -> None:
        self._settings = settings
        self._embedding_threads = embedding_threads
        self._chat_model: ChatModel | None = None
        self._opening = Lock()

    def chat_model(self) -> ChatModel:
        """The configured OpenAI-compatible endpoint, or ``local/extractive`` when there is none.

        Raises `core.kit.errors.Unavailable` when an endpoint is configured without the name of a model.
        """
        with self._opening:
            if self._chat_model is None:
                self._chat_model = self._build_chat_model()
            return self._chat_model

    def embedder(self) -> Embedder:
        """The embedded MiniLM, one copy per process. Raises `core.kit.errors.Unavailable` when it is not installed."""
        from core.gateway.embeddings.minilm import load_minilm

        return load_minilm(threads=self._embedding_threads)

    def close(self) -> None:
        """Release the connections of the chat model, if one was opened. The next `chat_model` opens it again."""
        with self._opening:
            if self._chat_model is not None:
                self._chat_model.close()
                self._chat_model = None

    def _build_chat_model(self) -> ChatModel:
        settings = self._settings
        if settings.model_base_url is None:
            from core.gateway.providers.extractive import Extractive

            return Extractive(self.embedder)
        if not settings.model_name:
            raise Unavailable(
                "WAYBILL_MODEL_BASE_URL is set but WAYBILL_MODEL_NAME is not; name the model to ask for",
                code="model_not_configured",
            )
        from core.gateway.providers.openai_compatible import OpenAICompatible

        return OpenAICompatible(
            base_url=settings.model_base_url,
            api_key=settings.model_api_key.get_secret_value() if settings.model_api_key else None,
            model=settings.model_name,
            timeout_seconds=settings.model_timeout_seconds,
            count_tokens=lambda text: self.embedder().count_tokens(text),
        )


def open_gateway(settings: Settings, *, embedding_threads: int | None = None) -> Gateway:
    """The gateway of this process. `embedding_threads` is how many cores one embedding call may use (default: 2)."""
    return Gateway(settings, embedding_threads=embedding_threads)
