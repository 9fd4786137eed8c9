"""Azure OpenAI, with a key or with Entra ID (a managed identity, a workload identity, a developer's sign-in).

Without `api_version` the endpoint's unversioned ``/openai/v1`` is used; with one, the older path that names the
deployment. See https://learn.microsoft.com/azure/ai-foundry/openai/api-version-lifecycle.
"""

from collections.abc import Callable, Mapping
from threading import Lock
from typing import Any, Protocol

import httpx
import openai

from core.gateway.models import Ability
from core.gateway.providers.estimator import CountTokens
from core.gateway.providers.openai_compatible import ALL_ABILITIES, OpenAICompatible
from core.gateway.streams import BY_SUMS, UsageReading

ENTRA_SCOPE = "https://cognitiveservices.azure.com/.default"


class TokenCredential(Protocol):
    """A credential as in `azure.identity`: issues access tokens and caches them until shortly before they expire."""

    def get_token(self, *scopes: str) -> Any:
        """A token for `scopes`, as an object whose attribute `token` is the bearer token."""


class AzureOpenAI(OpenAICompatible):
    """One deployment of an Azure OpenAI resource. `endpoint` is ``https://<resource>.openai.azure.com``.

    `model` is the name of the deployment there. Without an `api_key` the `credential` signs in; without that, the one
    that `azure.identity.DefaultAzureCredential` finds (extra ``azure``).
    """

    def __init__(
        self,
        *,
        endpoint: str,
        api_key: str | Callable[[], str | None] | None = None,
        credential: TokenCredential | None = None,
        api_version: str | None = None,
        model: str,
        timeout_seconds: float,
        count_tokens: CountTokens,
        abilities: frozenset[Ability] = ALL_ABILITIES,
        parameters: Mapping[str, Any] | None = None,
        reading: UsageReading = BY_SUMS,
    ) -> None:
        self._api_version = api_version
        self._by_key = api_key is not None
        self._credential = credential
        self._signing_in = Lock()
        super().__init__(
            base_url=endpoint.rstrip("/"),
            api_key=api_key,
            model=model,
            timeout_seconds=timeout_seconds,
            count_tokens=count_tokens,
            abilities=abilities,
            parameters=parameters,
            reading=reading,
        )
        self.description = f"{model} on Azure OpenAI. Writes its own text: verify what it quotes."

    def _open_client(self, base_url: str, transport: httpx.Client) -> openai.OpenAI:
        if self._api_version is None:
            secret = self._key if self._by_key else self._sign_in
            return openai.OpenAI(base_url=f"{base_url}/openai/v1", api_key=secret, max_retries=0, http_client=transport)
        return openai.AzureOpenAI(
            azure_endpoint=base_url,
            azure_deployment=self.name,
            api_version=self._api_version,
            # Each call carries its key in a header.
            api_key="none" if self._by_key else None,
            azure_ad_token_provider=None if self._by_key else self._sign_in,
            max_retries=0,
            http_client=transport,
        )

    def _headers(self) -> dict[str, str]:
        by_header = self._by_key and self._api_version is not None
        return {"api-key": self._read_key() or "none"} if by_header else {}

    def _sign_in(self) -> str:
        with self._signing_in:
            if self._credential is None:
                self._credential = _default_credential()
        return str(self._credential.get_token(ENTRA_SCOPE).token)


def _default_credential() -> TokenCredential:
    from azure.identity import DefaultAzureCredential

    return DefaultAzureCredential()
