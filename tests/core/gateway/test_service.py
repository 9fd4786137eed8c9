import subprocess
import sys

import numpy as np
import pytest
from pydantic import SecretStr

from core.gateway.models import Ability, ChatRequest, Question
from core.gateway.routing import CHAT
from core.gateway.service import Gateway, open_gateway
from core.kit.errors import Unavailable
from core.kit.settings import Settings
from tests.factories.context import RecordingContext
from tests.factories.provider_simulator import Answer, ProviderSimulator


def test_importing_the_gateway_loads_no_model_runtime() -> None:
    code = (
        "import sys, core.gateway.service, core.gateway.models, core.gateway.errors;"
        "heavy = {'numpy', 'onnxruntime', 'tokenizers', 'openai', 'httpx', 'tryaii'} & set(sys.modules);"
        "sys.exit(', '.join(heavy) or 0)"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr


def ask(gateway: Gateway, name: str = CHAT) -> tuple[str, RecordingContext]:
    ctx = RecordingContext()
    with gateway.for_job(ctx).chat(name, ChatRequest.of_parts((Question("Well?"),))) as stream:
        return "".join(chunk.text for chunk in stream), ctx


def test_without_an_endpoint_the_embedded_model_answers_and_costs_nothing() -> None:
    gateway = open_gateway(Settings(model_base_url=None))
    model = gateway.for_job(RecordingContext()).resolve(CHAT)
    assert (model.model, model.price_provider) == ("local/extractive", "local")
    assert Ability.QUOTES in model.abilities
    _, ctx = ask(gateway)
    assert [usage.model for usage in ctx.usage] == ["local/extractive"]
    gateway.close()


def test_a_configured_endpoint_is_used_with_its_key() -> None:
    with ProviderSimulator(Answer("fine")) as server:
        gateway = open_gateway(
            Settings(model_base_url=server.base_url, model_api_key=SecretStr("secret"), model_name="tiny")
        )
        assert ask(gateway)[0] == "fine"
        gateway.close()
    assert server.requests[0].headers["Authorization"] == "Bearer secret"


def test_a_gateway_opens_its_models_again_after_closing() -> None:
    with ProviderSimulator(Answer("fine")) as server:
        gateway = open_gateway(Settings(model_base_url=server.base_url, model_name="tiny"))
        assert ask(gateway)[0] == "fine"
        gateway.close()
        assert ask(gateway)[0] == "fine"
        gateway.close()


def test_an_endpoint_without_a_model_name_is_refused_with_the_setting_to_mend() -> None:
    gateway = open_gateway(Settings(model_base_url="http://127.0.0.1:9/v1"))
    with pytest.raises(Unavailable, match="WAYBILL_MODEL_NAME"):
        ask(gateway)
    gateway.close()


def test_the_embedder_is_one_per_process() -> None:
    gateway = open_gateway(Settings())
    assert gateway.embedder() is open_gateway(Settings()).embedder()
    assert gateway.embedder().embed_query("hello").dtype == np.float32
