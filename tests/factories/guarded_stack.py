"""The whole product as processes, under a policy that redacts `tests.factories.identifiers` at every border."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from signal import SIGTERM
from tempfile import TemporaryDirectory
from typing import Any

import httpx

from core.guard.service import GuardService
from core.kit.settings import Settings
from tests.factories.api import issue_key, principal_of
from tests.factories.guard import IDENTIFIERS, socket_below, start_analyzer
from tests.factories.identifiers import LETTER, POLICY
from tests.factories.jobs import Tenant, tenant_of
from tests.factories.processes import Process, start
from tests.factories.provider_simulator import Answer, ProviderSimulator, Recorded, Script, ToolUse
from tests.factories.registered import Registrar, write_deployments
from tests.factories.trace_collector import Collector, collecting
from tests.factories.waiting import wait_until
from tests.factories.webhook_receiver import WebhookReceiver
from tests.factories.webhooks import LOOPBACK
from waybill.stack.postgres import free_port

ENDED = frozenset({"succeeded", "failed", "cancelled", "expired", "rejected"})
# What a message begins with that is answered slowly.
SLOWLY = "Slowly:"
_FLOWER_PASSWORD = "of-the-tests"


def parrot(recorded: Recorded) -> Script:
    """Says what it was told, and then the letter, as one who knows these people; as a tool call or JSON when asked."""
    content = recorded.body["messages"][-1]["content"]
    reported = content if isinstance(content, str) else " ".join(part.get("text", "") for part in content)
    said = f"{reported} {LETTER}"
    if reported.startswith(SLOWLY):
        # Long enough to be stopped in its middle.
        return Answer(*[f"{LETTER} "] * 100, delta_seconds=0.05)
    if recorded.body.get("tools"):
        return Answer(tool_calls=(ToolUse("write_letter", {"text": said}),))
    if recorded.body.get("response_format"):
        return Answer.of_json({"answered": True, "answer": said, "lines": [0]})
    return Answer(*(said[at : at + 7] for at in range(0, len(said), 7)))


@dataclass
class GuardedStack:
    """Its processes, by name, and what they talked to."""

    settings: Settings
    tenant: Tenant
    client: httpx.Client
    provider: ProviderSimulator
    receiver: WebhookReceiver
    collector: Collector
    processes: dict[str, Process]
    analyzer_url: str
    flower_url: str

    def submit(self, capability: str, **given: Any) -> str:
        """A job, of which the receiver hears; returns its path."""
        hook = {"url": self.receiver.url, "include_result": True}
        return self._made("/v1/jobs", {"capability": capability, "input": given, "webhook": hook})

    def chat(self, *messages: Mapping[str, Any], **given: Any) -> str:
        """A job that asks the provider; returns its path."""
        return self.submit("models.chat", model="default", messages=list(messages), **given)

    def wait(self, path: str, states: frozenset[str] = ENDED, timeout_seconds: float = 120) -> str:
        """What is shown of a job or a batch, once it is in one of `states`."""
        shown: list[str] = []

        def reached() -> bool:
            shown[:] = [self.get(path)]
            return json.loads(shown[0])["state"] in states

        wait_until(reached, timeout_seconds=timeout_seconds, what=f"the end of {path}", pause_seconds=0.1)
        return shown[0]

    def reported(self, path: str, **waiting: Any) -> str:
        """All that is shown of a job: itself, its events, its tree, its costs and its waybill."""
        shown = self.wait(path, **waiting)
        if json.loads(shown)["state"] not in ENDED:
            return shown
        parts = [self.get(f"{path}/{name}") for name in ("events", "tree", "cost", "waybill", "audit")]
        return "\n".join((shown, *parts))

    def get(self, path: str, **params: Any) -> str:
        """What a GET is answered."""
        answer = self.client.get(path, params=params)
        assert answer.status_code == 200, answer.text
        return answer.text

    def upload(self, name: str, content: bytes, content_type: str) -> str:
        """A file of the project; returns its id."""
        answer = self.client.post(
            "/v1/files", params={"name": name}, content=content, headers={"Content-Type": content_type}
        )
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    def batch(self, **given: Any) -> str:
        """A batch; returns its path."""
        return self._made("/v1/batches", given)

    def flower(self, path: str) -> str:
        """What Flower answers."""
        answer = httpx.get(f"{self.flower_url}{path}", auth=("waybill", _FLOWER_PASSWORD), timeout=20)
        assert answer.status_code == 200, answer.text
        return answer.text

    def logs(self) -> dict[str, str]:
        """What each process has logged."""
        return {name: process.output() for name, process in self.processes.items()}

    def start_analyzer(self) -> None:
        """An analyzer in the place of one that was killed."""
        self.processes["analyzer"] = start_analyzer(self.settings, self.analyzer_url, IDENTIFIERS)
        self.processes["analyzer"].wait_for("analyzer_child_ready")

    def _made(self, path: str, body: dict[str, Any]) -> str:
        answer = self.client.post(path, json=body)
        assert answer.status_code == 202, answer.text
        return str(answer.json()["links"]["self"])


@contextmanager
def guarded_stack(settings: Settings, *pools: str) -> Iterator[GuardedStack]:
    """The API, a dispatcher, a deliverer, an analyzer, Flower and a worker for each of `pools`."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory()))
        provider = stack.enter_context(ProviderSimulator(parrot))
        receiver = stack.enter_context(WebhookReceiver())
        collector = stack.enter_context(collecting())
        file = write_deployments(settings.home, there=provider)
        settings = settings.model_copy(update={"deployments_file": file, **LOOPBACK})
        key = issue_key(settings)
        tenant = tenant_of(settings, principal_of(key))
        stack.callback(tenant.close)
        Registrar(settings, tenant).model(
            "default", {"deployment": "there", "abilities": ("streams", "writes", "tools", "json_schema")}
        )
        with tenant.database.tenant(key.organization_id) as session:
            GuardService(settings).put(session, tenant.principal, key.project_id, POLICY)
        url = socket_below(folder)
        shared = {
            "WAYBILL_DEPLOYMENTS_FILE": str(file),
            "WAYBILL_GUARD_URL": url,
            "WAYBILL_WEBHOOK_ALLOWED_NETWORKS": json.dumps(LOOPBACK["webhook_allowed_networks"]),
            "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
        }
        processes, addresses = _start(settings, pools, shared)
        stack.callback(_stop, processes)
        headers = {"Authorization": f"Bearer {key.plaintext}"}
        client = stack.enter_context(httpx.Client(base_url=addresses[0], headers=headers, timeout=60, trust_env=False))
        made = GuardedStack(
            settings, tenant, client, provider, receiver, collector, processes, url, flower_url=addresses[1]
        )
        made.start_analyzer()
        _wait_for_all(made, pools)
        client.post("/v1/webhook-secret/rotate").raise_for_status()
        yield made


def _start(settings: Settings, pools: Sequence[str], shared: dict[str, str]) -> tuple[dict[str, Process], list[str]]:
    """The processes, side by side, and the addresses of the API and of Flower."""
    ports = [free_port(), free_port()]
    assert settings.signing_key is not None
    signing = {"WAYBILL_SIGNING_KEY": settings.signing_key.get_secret_value()}
    processes = {
        "flower": start(
            settings, "waybill", "flower", "--port", str(ports[1]), WAYBILL_FLOWER_PASSWORD=_FLOWER_PASSWORD
        ),
        "api": start(settings, "waybill", "api", "--port", str(ports[0]), **shared, **signing),
        "dispatcher": start(settings, "workers", "dispatcher", **shared),
        "deliverer": start(settings, "workers", "deliverer", **shared),
    }
    processes |= {pool: start(settings, "workers", "worker", pool, "2", **shared) for pool in pools}
    return processes, [f"http://127.0.0.1:{port}" for port in ports]


def _wait_for_all(stack: GuardedStack, pools: Sequence[str]) -> None:
    for name in ("dispatcher", *pools):
        stack.processes[name].wait_for('"pool":"models"' if name == "dispatcher" else "worker_ready")
    for name, url in (("api", f"{stack.client.base_url}/readyz"), ("flower", f"{stack.flower_url}/healthcheck")):
        wait_until(partial(_answers, url), timeout_seconds=60, what=f"the {name} to answer", pause_seconds=0.1)


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=5).status_code == 200
    except httpx.HTTPError:
        return False


def _stop(processes: Mapping[str, Process]) -> None:
    for process in processes.values():
        process.signal(SIGTERM)
    for process in processes.values():
        try:
            process.stop(20)
        except TimeoutError:
            process.kill()
