"""A stack for OpenAI's clients: the API, a dispatcher, workers, and a provider that plays a model called ``writer``."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cached_property
from signal import SIGTERM
from typing import Any

import httpx
from fastapi import FastAPI
from openai import DefaultHttpxClient, OpenAI

from core.kit.settings import Settings
from tests.factories.api import RunningApi, principal_of, running_api
from tests.factories.documented import Documented
from tests.factories.jobs import Tenant, tenant_of
from tests.factories.processes import start
from tests.factories.provider_simulator import (
    Answer,
    Failure,
    LateScript,
    ProviderSimulator,
    Recorded,
    Script,
    ToolUse,
    obey_schema,
)
from tests.factories.registered import Registrar, write_deployments

WORDS = ("Hello", " from", " the", " model.")
WEATHER = ToolUse("get_weather", {"city": "Gdańsk"}, id="call_weather")


def play(request: Recorded) -> Script:
    """What the model says to the last word of the last message, which names the scene."""
    last = request.body["messages"][-1]
    if last["role"] == "tool":
        return Answer("It is ", f"{last['content']}.")
    content = last["content"]
    text = content if isinstance(content, str) else " ".join(part.get("text", "") for part in content)
    scene = SCENES.get((text.split() or [""])[-1])
    return Answer(*WORDS) if scene is None else scene(request)


def _history(request: Recorded) -> Script:
    return Answer(" | ".join(f"{each['role']}: {each['content']}" for each in request.body["messages"]))


def _cut(request: Recorded) -> Script:
    """Breaks off, and says something else to whoever asks again; the tests count on being asked by one at a time."""
    _cuts.append(request.number)
    return Answer(*WORDS, cut_after=2) if len(_cuts) % 2 else Answer("Something", " else.")


_cuts: list[int] = []
SCENES: dict[str, LateScript] = {
    "TOOL": lambda _: Answer(tool_calls=(WEATHER,)),
    "HOLD": lambda _: Answer(*WORDS, hold_after=2),
    "REFUSE": lambda _: Failure(status=400, message="no", code="invalid_prompt"),
    "CUT": _cut,
    "SCHEMA": obey_schema,
    "LONG": lambda _: Answer(*WORDS, finish_reason="length"),
    "HISTORY": _history,
    "MANGLED": lambda _: Answer("a\x00b", " \ud83d", "\ude00", " \ud83d half"),
}


@dataclass
class OpenAIStack:
    """What a test of the dialect needs."""

    api: RunningApi
    provider: ProviderSimulator
    tenant: Tenant

    @cached_property
    def _documented(self) -> Documented:
        app: FastAPI = self.api.server.config.app  # type: ignore[assignment]
        return Documented(app.openapi())

    @property
    def base_url(self) -> str:
        """What takes the place of ``https://api.openai.com/v1``."""
        return f"{self.api.url}/openai/v1"

    def client(self, **options: Any) -> OpenAI:
        """OpenAI's own client, whose answers have to be as the OpenAPI document says."""
        http = DefaultHttpxClient(trust_env=False, event_hooks={"response": [self._documented]})
        given: dict[str, Any] = {"base_url": self.base_url, "api_key": self.api.key.plaintext, "http_client": http}
        return OpenAI(**{**given, "timeout": 30, **options})

    def plain(self) -> httpx.Client:
        """A client of ``/v1``."""
        return self.api.client()


@contextmanager
def openai_stack(
    settings: Settings, *pools: str, script: LateScript = play, model: str = "writer"
) -> Iterator[OpenAIStack]:
    """A running stack with a worker for each of `pools`, and a provider that plays `script` as `model`."""
    with ExitStack() as stack:
        provider = stack.enter_context(ProviderSimulator(script))
        file = write_deployments(settings.home, there=provider)
        settings = settings.model_copy(update={"deployments_file": file})
        api = stack.enter_context(running_api(settings))
        tenant = tenant_of(settings, principal_of(api.key))
        stack.callback(tenant.close)
        registrar = Registrar(settings, tenant)
        registrar.model(model, {"deployment": "there"})
        registrar.model("declared", {"deployment": "there", "context_window": 100_000, "max_output_tokens": 9000})
        extra = {"WAYBILL_DEPLOYMENTS_FILE": str(file)}
        # Side by side: each takes seconds to import what it needs, and to drain when it stops.
        processes = {"dispatcher": start(settings, "workers", "dispatcher", **extra)}
        processes |= {pool: start(settings, "workers", "worker", pool, "4", **extra) for pool in pools}
        try:
            for role, process in processes.items():
                process.wait_for('"pool":"models"' if role == "dispatcher" else "worker_ready")
            yield OpenAIStack(api, provider, tenant)
        finally:
            for process in processes.values():
                process.signal(SIGTERM)
            for process in processes.values():
                process.stop()
