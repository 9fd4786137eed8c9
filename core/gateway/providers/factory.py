"""Opens a provider by its kind, as the registry names it. Loads only that kind's library."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from core.gateway.models import Embedder, Provider
from core.gateway.providers.estimator import CountTokens
from core.gateway.streams import BY_SUMS, UsageReading
from core.kit.errors import Unavailable

if TYPE_CHECKING:
    from core.gateway.providers.openai_embeddings import OpenAIEmbeddings

KINDS = ("openai-compatible", "azure-openai", "anthropic", "local")


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """Where a model is reached. `kind` is one of `KINDS`; a local model has no address and no key.

    `read_key` is called for each request. On Azure its absence means Entra ID. `parameters` are sent with every call;
    `reading` is how to interpret the usage that it reports.
    """

    kind: str
    model: str
    base_url: str | None = None
    read_key: Callable[[], str | None] | None = None
    api_version: str | None = None
    timeout_seconds: float = 60.0
    parameters: Mapping[str, Any] = field(default_factory=dict)
    reading: UsageReading = BY_SUMS


def open_provider(endpoint: Endpoint, *, embedder: Callable[[], Embedder]) -> Provider:
    """The provider of one model behind one endpoint. Raises `Unavailable` for an unknown kind or local model."""
    if endpoint.kind == "local":
        return _open_local(endpoint.model, embedder)

    def count_tokens(text: str) -> int:
        return embedder().count_tokens(text)

    if endpoint.kind == "anthropic":
        from core.gateway.providers.anthropic import BASE_URL, Anthropic

        return Anthropic(
            base_url=endpoint.base_url or BASE_URL,
            api_key=endpoint.read_key,
            model=endpoint.model,
            timeout_seconds=endpoint.timeout_seconds,
            count_tokens=count_tokens,
            parameters=endpoint.parameters,
        )
    return _open_openai(endpoint, count_tokens)


def open_embedder(endpoint: Endpoint, *, embedder: Callable[[], Embedder]) -> "OpenAIEmbeddings":
    """The embedding model behind one endpoint. Raises `Unavailable` for a kind without embedding models here.

    `embedder` counts the tokens that a provider did not report.
    """
    if endpoint.kind == "openai-compatible" and endpoint.base_url is not None:
        base_url = endpoint.base_url
    elif endpoint.kind == "azure-openai" and endpoint.base_url is not None and endpoint.read_key is not None:
        # Azure's v1 API takes the key as the SDK sends it.
        base_url = f"{endpoint.base_url}/openai/v1"
    else:
        raise Unavailable(
            f"embeddings come from deployments of openai-compatible, and of azure-openai with a key; {endpoint.model}"
            f" is reached by {endpoint.kind}",
            code="deployment_invalid",
        )
    from core.gateway.providers.openai_embeddings import OpenAIEmbeddings

    return OpenAIEmbeddings(
        base_url=base_url,
        api_key=endpoint.read_key,
        model=endpoint.model,
        timeout_seconds=endpoint.timeout_seconds,
        count_tokens=lambda text: embedder().count_tokens(text),
    )


def _open_openai(endpoint: Endpoint, count_tokens: CountTokens) -> Provider:
    if endpoint.kind not in KINDS or endpoint.base_url is None:
        raise Unavailable(
            f"the deployment of {endpoint.model} needs a base_url and one of the kinds {', '.join(KINDS)}",
            code="deployment_invalid",
        )
    if endpoint.kind == "azure-openai":
        from core.gateway.providers.azure_openai import AzureOpenAI

        return AzureOpenAI(
            endpoint=endpoint.base_url,
            api_key=endpoint.read_key,
            api_version=endpoint.api_version,
            model=endpoint.model,
            timeout_seconds=endpoint.timeout_seconds,
            count_tokens=count_tokens,
            parameters=endpoint.parameters,
            reading=endpoint.reading,
        )
    from core.gateway.providers.openai_compatible import OpenAICompatible

    return OpenAICompatible(
        base_url=endpoint.base_url,
        api_key=endpoint.read_key,
        model=endpoint.model,
        timeout_seconds=endpoint.timeout_seconds,
        count_tokens=count_tokens,
        parameters=endpoint.parameters,
        reading=endpoint.reading,
    )


def _open_local(name: str, embedder: Callable[[], Embedder]) -> Provider:
    from core.gateway.providers import extractive

    if name.removeprefix("local/") == extractive.NAME.removeprefix("local/"):
        return extractive.Extractive(embedder)
    if name.removeprefix("local/") == "smollm2":
        from core.gateway.providers.smollm import SmolLM

        return SmolLM()
    raise Unavailable(f"there is no local model {name}; there are extractive and smollm2", code="model_missing")
