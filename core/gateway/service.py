"""Opens the door: which models this process talks to, and the calls that its jobs make."""

import weakref
from threading import Lock

from core.capability import JobContext
from core.gateway.cache import ResponseCache
from core.gateway.calls import Door, JobModels, Spent
from core.gateway.models import ChatModel, Embedder
from core.gateway.resilience.backoff import Backoff
from core.gateway.resilience.breaker import Breakers
from core.gateway.routing import CHAT, EXTRACTIVE, BuiltInCatalogue, Catalogue, Deployments, Reached, ResolvedModel
from core.kit.errors import Unavailable
from core.kit.settings import Settings


class Gateway:
    """The models of a process. Cheap to open; each model is loaded when it is first asked for, after any fork.

    `catalogue` and `deployments` come from the registry; without them the settings name the one model that is not
    embedded.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        embedding_threads: int | None = None,
        catalogue: Catalogue | None = None,
        deployments: Deployments | None = None,
        breakers: Breakers | None = None,
        backoff: Backoff | None = None,
    ) -> None:
        self._embedding_threads = embedding_threads
        self._deployments = deployments or ConfiguredDeployments(settings, self)
        self._chat_name = CHAT if settings.model_base_url is not None else EXTRACTIVE
        self._spent: dict[int, Spent] = {}
        self._remembering = Lock()
        self._door = Door(
            catalogue=catalogue or BuiltInCatalogue(settings),
            deployments=self._deployments,
            embedder=lambda _: self.embedder(),
            breakers=breakers or Breakers(),
            backoff=backoff or Backoff(),
            cache=_open_cache(settings),
        )

    def for_job(self, ctx: JobContext) -> JobModels:
        """The models, for the attempt `ctx`. Every call made through it is metered; there is no other way to a model.

        What one attempt asked in vain is remembered as long as its context lives.
        """
        with self._remembering:
            spent = self._spent.get(id(ctx))
            if spent is None:
                spent = self._spent[id(ctx)] = Spent()
                weakref.finalize(ctx, self._spent.pop, id(ctx), None)
        return JobModels(self._door, ctx, spent)

    def embedder(self) -> Embedder:
        """The embedded MiniLM, one copy per process. Raises `core.kit.errors.Unavailable` when it is not installed.

        For evaluations, and to count tokens. A job embeds through `for_job`.
        """
        from core.gateway.embeddings.minilm import load_minilm

        return load_minilm(threads=self._embedding_threads)

    def chat_model(self) -> ChatModel:
        """The configured model itself, unmetered: for evaluations. A job asks through `for_job`."""
        if isinstance(self._deployments, ConfiguredDeployments):
            return self._deployments.provider(self._chat_name)
        raise Unavailable("the models of this process come from the registry; ask through a job", code="model_by_job")

    def close(self) -> None:
        """Release the connections of the models that were opened. The next call opens them again."""
        self._deployments.close()
        if self._door.cache is not None:
            self._door.cache.close()


class ConfiguredDeployments:
    """Implements `core.gateway.routing.Deployments` with the settings: one endpoint, and the embedded models."""

    def __init__(self, settings: Settings, gateway: Gateway) -> None:
        self._settings = settings
        self._gateway = gateway
        self._opened: dict[str, ChatModel] = {}
        self._opening = Lock()

    def reach(self, model: ResolvedModel) -> Reached:
        """See `Deployments.reach`. Raises `Unavailable` when an endpoint is configured without the name of a model."""
        is_local = model.deployment == EXTRACTIVE
        return Reached(
            self.provider(EXTRACTIVE if is_local else CHAT), 1 if is_local else self._settings.model_max_attempts
        )

    def provider(self, name: str) -> ChatModel:
        """The embedded model or the configured one. Raises `Unavailable`."""
        with self._opening:
            found = self._opened.get(name)
            if found is None:
                found = self._opened[name] = self._open(name)
            return found

    def close(self) -> None:
        """Release the connections."""
        with self._opening:
            opened, self._opened = self._opened, {}
        for model in opened.values():
            model.close()

    def _open(self, name: str) -> ChatModel:
        settings = self._settings
        if name == EXTRACTIVE or settings.model_base_url is None:
            from core.gateway.providers.extractive import Extractive

            return Extractive(self._gateway.embedder)
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
            count_tokens=lambda text: self._gateway.embedder().count_tokens(text),
        )


def open_gateway(settings: Settings, *, embedding_threads: int | None = None) -> Gateway:
    """The gateway of this process. `embedding_threads` is how many cores one embedding call may use (default: 2)."""
    return Gateway(settings, embedding_threads=embedding_threads)


def _open_cache(settings: Settings) -> ResponseCache | None:
    if not settings.model_cache_projects:
        return None
    from core.kit.redis import connect

    return ResponseCache(
        connect(settings),
        key_prefix=settings.key_prefix,
        projects=frozenset(settings.model_cache_projects),
        ttl_seconds=settings.model_cache_ttl_seconds,
    )
