"""What the policy `balanced` adds to a search job, from submission to result: ``python -m tests.bench guarded``.

One worker answers the sample questions over the sample corpus for two projects in turn, one with `balanced` and one
without a policy, by the embedded model and by a model over the network that answers at once. Every question is new to
the analyzer, as questions of people are; passages are not, for a base is asked more than once.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from mimetypes import guess_type
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter

from core.guard.policy import TEMPLATES
from core.guard.service import GuardService
from core.keys.principal import Principal
from core.keys.service import IssuedKey, KeyService
from tests.bench.rows import Row, compared
from tests.bench.system import Systems
from tests.factories.guard import socket_below, start_analyzer
from tests.factories.processes import ROOT, dispatcher, worker
from tests.factories.provider_simulator import Answer, ProviderSimulator
from waybill.client import WaybillClient

_ROUNDS, _WARM = 3, 10
_ANSWER = Answer("The included cover is ", "EUR 100 per shipment [1].")


def run(systems: Systems, say: Callable[[str], None]) -> list[Row]:
    """Rows for both kinds of model."""
    with TemporaryDirectory() as folder, ProviderSimulator(_ANSWER) as provider:
        url = socket_below(Path(folder))
        analyzer = start_analyzer(systems.settings, url, None)
        try:
            analyzer.wait_for("analyzer_child_ready")
            remote = {
                "WAYBILL_MODEL_BASE_URL": provider.base_url,
                "WAYBILL_MODEL_API_KEY": "secret",
                "WAYBILL_MODEL_NAME": "strong",
            }
            rows = []
            for name, model in (("embedded", {}), ("network", remote)):
                say(f"guarded search jobs, {name} model")
                with (
                    dispatcher(systems.settings),
                    worker(systems.settings, "knowledge", 1, WAYBILL_GUARD_URL=url, **model),
                ):
                    rows += _measure(systems, name)
            return rows
        finally:
            analyzer.stop()


def _measure(systems: Systems, name: str) -> list[Row]:
    questions = [json.loads(line)["question"] for line in (ROOT / "samples/questions.jsonl").read_text().splitlines()]
    with _projects(systems, name) as asks:
        for ask in asks:
            for number in range(_WARM):
                ask(f"{questions[number]} (to warm up)")
        rounds: list[list[list[float]]] = []
        for number in range(_ROUNDS):
            took: list[list[float]] = [[], []]
            for question in questions:
                for place, ask in enumerate(asks):
                    took[place].append(ask(f"{question} Round {number} of {name}, project {place}."))
            rounds.append(took)
    plain, guarded = ([median(took[place]) * 1000 for took in rounds] for place in (0, 1))
    slow = [sorted(took[1])[int(len(took[1]) * 0.95)] * 1000 for took in rounds]
    slow_plain = [sorted(took[0])[int(len(took[0]) * 0.95)] * 1000 for took in rounds]
    at_most = 1.15 if name == "embedded" else None
    return [
        compared(f"search_balanced_{name}_p50", "ms", guarded, plain, at_most=at_most),
        compared(f"search_balanced_{name}_p95", "ms", slow, slow_plain),
    ]


@contextmanager
def _projects(systems: Systems, name: str) -> Iterator[list[Callable[[str], float]]]:
    """How to ask a question in a project without a policy, and in one under `balanced`; returns the seconds it took."""
    keys = [_key(systems, f"{name}-{policy}") for policy in ("none", "balanced")]
    principal = Principal(keys[1].organization_id, keys[1].project_id, None, frozenset())
    with systems.database.tenant(principal.organization_id) as session:
        GuardService(systems.settings).put(session, principal, principal.project_id, TEMPLATES["balanced"])
    clients = [WaybillClient(f"http://127.0.0.1:{systems.ours.port}", key.plaintext) for key in keys]
    try:
        yield [_asking(client) for client in clients]
    finally:
        for client in clients:
            client.close()


def _key(systems: Systems, project: str) -> IssuedKey:
    with systems.database.system() as session:
        return KeyService(systems.settings).create_key(session, organization="bench", project=project, name="bench")


def _asking(client: WaybillClient) -> Callable[[str], float]:
    base = client.knowledge_bases.create("handbook")
    for path in sorted((ROOT / "samples/corpus").iterdir()):
        client.knowledge_bases.upload(base.id, path.name, path.read_bytes(), guess_type(path.name)[0] or "text/plain")
    client.jobs.submit("knowledge.ingest", {"knowledge_base": base.id}).wait().raise_for_state()

    def ask(question: str) -> float:
        began = perf_counter()
        job = client.jobs.submit("knowledge.search", {"knowledge_base": base.id, "query": question}, wait_seconds=60)
        job.raise_for_state()
        return perf_counter() - began

    return ask
