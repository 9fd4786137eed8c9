"""Where models are reached: the operator's deployments, and the models embedded in this process."""

import json
from collections.abc import Callable
from threading import Lock
from urllib.parse import urlsplit

from core.gateway.models import Embedder, Provider
from core.gateway.providers.factory import Endpoint, open_embedder, open_provider
from core.gateway.routing import LOCAL, Address, Reached, ReachedEmbedder, RemoteEmbedder
from core.gateway.streams import UsageReading
from core.kit.errors import Unavailable
from core.registry.deployments import DEFAULT, Deployment, DeploymentCatalogue
from core.registry.records import ResolvedModel

_HTTP_PORT, _HTTPS_PORT = 80, 443


class OpenedDeployments:
    """Implements `core.gateway.routing.Deployments`. Each model is opened on first use, after any fork.

    Versions that send the same to the same place share a provider and its connections.
    """

    def __init__(self, deployments: DeploymentCatalogue, embedder: Callable[[], Embedder]) -> None:
        self._deployments = deployments
        self._embedder = embedder
        self._providers: dict[str, Provider] = {}
        self._embedders: dict[str, RemoteEmbedder] = {}
        self._opening = Lock()

    def reach(self, model: ResolvedModel) -> Reached:
        """See `Deployments.reach`. Raises `Unavailable` for a deployment that this process does not know."""
        deployment = self._deployment(model)
        key = _key(model)
        with self._opening:
            found = self._providers.get(key)
            if found is None:
                endpoint = _endpoint(deployment, model)
                found = self._providers[key] = open_provider(endpoint, embedder=self._embedder)
        return Reached(found, deployment.max_attempts, _address(deployment))

    def reach_embedder(self, model: ResolvedModel) -> ReachedEmbedder:
        """See `Deployments.reach_embedder`. Raises `Unavailable` in the same case."""
        if model.provider == LOCAL:
            return ReachedEmbedder(local=self._embedder())
        deployment = self._deployment(model)
        key = _key(model)
        with self._opening:
            found = self._embedders.get(key)
            if found is None:
                endpoint = _endpoint(deployment, model)
                found = self._embedders[key] = open_embedder(endpoint, embedder=self._embedder)
        return ReachedEmbedder(remote=found, max_attempts=deployment.max_attempts, address=_address(deployment))

    def close(self) -> None:
        """Release the connections. Later calls open them again."""
        with self._opening:
            opened: list[Provider | RemoteEmbedder] = [*self._providers.values(), *self._embedders.values()]
            self._providers, self._embedders = {}, {}
        for each in opened:
            each.close()

    def _deployment(self, model: ResolvedModel) -> Deployment:
        if model.deployment == DEFAULT and not model.provider_model:
            raise Unavailable(
                "WAYBILL_MODEL_BASE_URL is set but WAYBILL_MODEL_NAME is not; name the model to ask for",
                code="model_not_configured",
            )
        return self._deployments.get(model.deployment)


def _address(deployment: Deployment) -> Address | None:
    # The host only: a path may contain what the operator wants to keep private.
    url = urlsplit(deployment.base_url or "")
    if not url.hostname:
        return None
    return Address(url.hostname, url.port or (_HTTP_PORT if url.scheme == "http" else _HTTPS_PORT))


def _key(model: ResolvedModel) -> str:
    return json.dumps([model.deployment, model.provider_model, dict(model.parameters)], sort_keys=True)


def _endpoint(deployment: Deployment, model: ResolvedModel) -> Endpoint:
    return Endpoint(
        kind=deployment.provider,
        model=model.provider_model,
        base_url=deployment.base_url,
        # Reading a key that does not exist would hide that Entra ID is to sign in.
        read_key=deployment.read_key if deployment.has_credential else None,
        api_version=deployment.api_version,
        timeout_seconds=deployment.timeout_seconds,
        parameters=model.parameters,
        reading=UsageReading(deployment.cached_tokens, deployment.reasoning_tokens),
    )
