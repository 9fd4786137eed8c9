from dataclasses import dataclass, field

import pytest

from core.gateway.errors import ProviderRefused
from core.gateway.models import ChatRequest, Text
from core.gateway.providers.azure_openai import ENTRA_SCOPE, AzureOpenAI
from tests.factories.provider_simulator import Answer, Failure, ProviderSimulator, count_words

REQUEST = ChatRequest.of_parts((Text("Hello?"),))


@dataclass
class Token:
    token: str


@dataclass
class Credential:
    """Signs in at nobody's: it stands at the network's edge, where azure.identity would ask Entra ID."""

    asked: list[str] = field(default_factory=list)

    def get_token(self, *scopes: str) -> Token:
        self.asked.extend(scopes)
        return Token(f"token-{len(self.asked)}")


def ask(server: ProviderSimulator, **options: object) -> str:
    model = AzureOpenAI(
        endpoint=server.root_url,
        model="gpt",
        timeout_seconds=5,
        count_tokens=count_words,
        **options,  # type: ignore[arg-type]
    )
    try:
        return "".join(chunk.text for _ in range(2) for chunk in model.stream(REQUEST, check=lambda: None))
    finally:
        model.close()


def test_with_a_key_on_the_path_without_versions() -> None:
    with ProviderSimulator(Answer("fine")) as server:
        assert ask(server, api_key="secret") == "finefine"
    assert {request.path for request in server.requests} == {"/openai/v1/chat/completions"}
    assert {request.headers["Authorization"] for request in server.requests} == {"Bearer secret"}
    assert server.requests[0].body["model"] == "gpt"


def test_with_a_key_and_a_version_the_deployment_is_in_the_path() -> None:
    keys = iter(["first", "second"])
    with ProviderSimulator(Answer("fine")) as server:
        ask(server, api_key=lambda: next(keys), api_version="2024-10-21")
    assert {request.path for request in server.requests} == {"/openai/deployments/gpt/chat/completions"}
    assert {request.query for request in server.requests} == {"api-version=2024-10-21"}
    assert [request.headers["api-key"] for request in server.requests] == ["first", "second"]
    assert "Authorization" not in server.requests[0].headers


@pytest.mark.parametrize("version", [None, "2024-10-21"])
def test_with_entra_id_the_credential_is_asked_for_each_call(version: str | None) -> None:
    credential = Credential()
    with ProviderSimulator(Answer("fine")) as server:
        ask(server, credential=credential, api_version=version)
    assert credential.asked == [ENTRA_SCOPE] * 2
    assert [request.headers["Authorization"] for request in server.requests] == ["Bearer token-1", "Bearer token-2"]
    assert "api-key" not in server.requests[0].headers


def test_a_role_that_is_missing_is_a_refusal() -> None:
    with ProviderSimulator(Failure(status=403)) as server, pytest.raises(ProviderRefused) as caught:
        ask(server, credential=Credential())
    assert caught.value.code == "provider_key_refused"
