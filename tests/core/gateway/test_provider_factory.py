import subprocess
import sys

import pytest

from core.gateway.embeddings.minilm import load_minilm
from core.gateway.models import ChatRequest, Text
from core.gateway.providers.factory import Endpoint, open_provider
from core.kit.errors import Unavailable
from tests.factories.provider_simulator import Answer, ProviderSimulator


@pytest.mark.parametrize(
    ("kind", "path"),
    [
        ("openai-compatible", "/v1/chat/completions"),
        ("azure-openai", "/openai/v1/chat/completions"),
        ("anthropic", "/v1/messages"),
    ],
)
def test_a_provider_is_opened_by_its_kind(kind: str, path: str) -> None:
    with ProviderSimulator(Answer("fine")) as server:
        address = server.base_url if kind == "openai-compatible" else server.root_url
        endpoint = Endpoint(kind=kind, model="m", base_url=address, read_key=lambda: "secret")
        provider = open_provider(endpoint, embedder=load_minilm)
        request = ChatRequest.of_parts((Text("Hello?"),))
        assert "".join(chunk.text for chunk in provider.stream(request, check=lambda: None)) == "fine"
        assert provider.bound(request)["output_tokens"] == request.max_output_tokens
        provider.close()
    assert server.requests[0].path == path
    assert server.requests[0].headers["Authorization"] == "Bearer secret"


def test_local_models_are_opened_by_their_name() -> None:
    for name in ("extractive", "local/extractive", "smollm2", "local/smollm2"):
        provider = open_provider(Endpoint(kind="local", model=name), embedder=load_minilm)
        assert provider.name == f"local/{name.removeprefix('local/')}"


@pytest.mark.parametrize(
    "endpoint",
    [
        Endpoint(kind="local", model="gpt"),
        Endpoint(kind="telepathy", model="m", base_url="http://127.0.0.1"),
        Endpoint(kind="azure-openai", model="m"),
    ],
)
def test_what_there_is_not_is_said(endpoint: Endpoint) -> None:
    with pytest.raises(Unavailable):
        open_provider(endpoint, embedder=load_minilm)


def test_a_kind_loads_only_its_own_library() -> None:
    code = (
        "import sys; from core.gateway.providers.factory import Endpoint, open_provider;"
        "open_provider(Endpoint(kind='anthropic', model='m', read_key=lambda: 'k'), embedder=None);"
        "sys.exit(', '.join({'openai', 'onnxruntime', 'xllamacpp', 'azure.identity'} & set(sys.modules)) or 0)"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
