"""No key and no prompt reaches a log or an error, whatever the provider throws back at us."""

import logging
import traceback
from collections.abc import Callable

import pytest

from core.gateway.errors import GatewayError
from core.gateway.models import ChatRequest, Provider, Text
from core.gateway.providers.anthropic import Anthropic
from core.gateway.providers.azure_openai import AzureOpenAI
from core.gateway.providers.openai_compatible import OpenAICompatible
from tests.factories.provider_simulator import Answer, Failure, ProviderSimulator, Script, count_words

KEY = "sk-canary-4f1d8a6b"
PROMPT = "canary-prompt-77aa"

PROVIDERS: dict[str, Callable[[ProviderSimulator], Provider]] = {
    "openai": lambda server: OpenAICompatible(
        base_url=server.base_url, api_key=KEY, model="m", timeout_seconds=0.5, count_tokens=count_words
    ),
    "azure": lambda server: AzureOpenAI(
        endpoint=server.root_url, api_key=KEY, model="m", timeout_seconds=0.5, count_tokens=count_words
    ),
    "azure-versioned": lambda server: AzureOpenAI(
        endpoint=server.root_url, api_key=KEY, api_version="1", model="m", timeout_seconds=0.5, count_tokens=count_words
    ),
    "anthropic": lambda server: Anthropic(
        base_url=server.root_url, api_key=KEY, model="m", timeout_seconds=0.5, count_tokens=count_words
    ),
}
ECHO = f"Incorrect key {KEY} for prompt {PROMPT}"
SCRIPTS: dict[str, Script] = {
    **{str(status): Failure(status=status, message=ECHO, code=KEY) for status in (400, 401, 403, 404, 429, 500, 529)},
    "malformed": Answer("a", malformed_after=0, malformed="{" + ECHO),
    "error": Answer("a", error_after=0),
    "cut": Answer("a", cut_after=0),
    "silence": Answer("a", first_token_seconds=30),
}


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("script", SCRIPTS)
def test_no_key_and_no_prompt_shows(provider: str, script: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with ProviderSimulator(SCRIPTS[script]) as server:
        model = PROVIDERS[provider](server)
        with pytest.raises(GatewayError) as caught:
            list(model.stream(ChatRequest.of_parts((Text(PROMPT),)), check=lambda: None))
        model.close()
    assert server.requests, "the key and the prompt were sent"
    shown = "".join(traceback.format_exception(caught.value)) + repr(caught.value) + repr(vars(caught.value))
    for text in (shown, caplog.text):
        assert KEY not in text
        assert PROMPT not in text
