"""What `tests.observe.traces` has the product do: a job of each capability, with canaries in what they are given."""

import mimetypes
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from time import sleep
from typing import Any

from core.keys.scopes import WORKING_SCOPES
from core.keys.service import KeyService
from core.kit.db import Database
from core.kit.settings import Settings
from tests.factories.processes import ROOT
from waybill.client import Job, WaybillClient
from waybill.demo.script import MACHINE_PRICES
from waybill.stack.supervisor import Stack

SECRET = "sk-Q7wE9rT5yU3iO1pA8sD6fG2hJ4kL0zX9"
EMAIL = "zoe.mueller@example.org"
PHONE = "+49 30 90182033"
CANARIES = (SECRET, EMAIL, PHONE)
_SAID = f"I am reachable at {EMAIL} or {PHONE}; my key is {SECRET}."
_PARCELS = f"# Parcels\n\nThe blue parcel weighs 17 kilograms. Questions go to {EMAIL} or {PHONE}. The key is {SECRET}."
_QUESTION = f"How much does the blue parcel weigh? {_SAID}"
_RECEIPT = ROOT / "docs" / "examples" / "multimodal" / "receipt.png"
_TERMINAL = frozenset({"succeeded", "failed", "cancelled", "expired", "rejected"})
# The step in which the worker of a report is killed: the crew's first.
_KILLED_IN = "crewai:"


@dataclass(frozen=True)
class Caller:
    """A project of a running stack, and the receiver that hears of its jobs."""

    stack: Stack
    client: WaybillClient
    approver: WaybillClient
    hook: str

    def run(self, capability: str, asked: dict[str, Any], *, kill_in: str | None = None) -> Job:
        """Submit, say yes to what it asks, and wait; with `kill_in` its worker is killed once, in such a step."""
        hook = {"url": self.hook, "events": ["job.succeeded", "job.failed"]}
        job = self.client.jobs.submit(capability, asked, webhook=hook)
        if kill_in is not None:
            for event in self.client.jobs.events(job.id, on_alive=self.stack.tend):
                if event.type == "step.started" and str(event.data.get("step", "")).startswith(kill_in):
                    self.stack.kill_worker(capability.partition(".")[0])
                    break
        answered: set[str] = set()
        while True:
            job = self.client.jobs.get(job.id)
            if job.state in _TERMINAL:
                return job
            for question in job.questions:
                if question.key not in answered:
                    answered.add(question.key)
                    self.approver.jobs.answer(job.id, {"approved": True}, key=question.key)
            self.stack.tend()
            sleep(0.2)

    def price_models(self) -> None:
        """Models of this machine cost something, or every cost would be nought."""
        for unit, usd in MACHINE_PRICES.items():
            self.client.prices.set("local", "*", unit, usd)

    def new_base(self) -> tuple[str, Job]:
        """A knowledge base, and the job that read its document."""
        base = self.client.knowledge_bases.create("parcels")
        self.client.knowledge_bases.upload(base.id, "parcels.md", _PARCELS.encode(), "text/markdown")
        return base.id, self.run("knowledge.ingest", {"knowledge_base": base.id})

    def run_each(self, *, with_kill: bool) -> dict[str, Job]:
        """A job of each capability, by its id; with `with_kill` the worker of the report is killed."""
        base, ingested = self.new_base()
        receipt = self.client.files.upload(_RECEIPT, content_type=mimetypes.guess_type(_RECEIPT.name)[0] or "")
        customer = {"email": "tom.dewit@example.org", "verified": True}
        complaint = f"Our Express 12 shipment VH-300002 missed its slot by a whole day. We want a refund. {_SAID}"
        asked: dict[str, dict[str, Any]] = {
            "knowledge.search": {"knowledge_base": base, "query": _QUESTION},
            "models.chat": {
                "model": "default",
                "messages": [{"role": "user", "content": f"{_PARCELS}\n\n{_QUESTION}"}],
            },
            "models.embed": {"model": "local/minilm", "texts": [_SAID]},
            "multimodal.understand": {"files": [receipt.id], "question": f"What is the total? {_SAID}"},
            "customer_operations.resolve": {
                "message": complaint,
                "customer": customer,
                "delivery": "send",
                "knowledge_base": base,
            },
        }
        jobs = {"knowledge.ingest": ingested}
        for capability, given in asked.items():
            jobs[capability] = self.run(capability, given)
        report = {"question": _QUESTION, "knowledge_bases": [base], "sub_questions": 2}
        jobs["research.report"] = self.run("research.report", report, kill_in=_KILLED_IN if with_kill else None)
        return jobs


@contextmanager
def caller(stack: Stack, settings: Settings, project: str, hook: str) -> Iterator[Caller]:
    """A key for a project of its own, and one for who approves."""
    assert stack.running is not None
    database = Database(settings, application_name="waybill-observe", pool_size=1)
    scopes = (
        *WORKING_SCOPES,
        "customers:verify",
        "prices:read",
        "prices:write",
        "guard:read",
        "guard:write",
        "webhooks:write",
    )
    try:
        keys = []
        for name, wanted in (("caller", scopes), ("approver", ("jobs:answer",))):
            with database.system() as session:
                issued = KeyService(settings).create_key(
                    session, organization="observed", project=project, name=name, scopes=wanted, expires_in=None
                )
            keys.append(issued.plaintext)
    finally:
        database.close()
    with ExitStack() as opened:
        clients = [opened.enter_context(WaybillClient(stack.running.url, key)) for key in keys]
        clients[0].webhooks.rotate_secret()
        yield Caller(stack, clients[0], clients[1], hook)
