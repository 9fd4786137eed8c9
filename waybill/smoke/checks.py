"""The checks of `waybill smoke`: one job of each kind, its events, its webhook and its waybill."""

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic
from typing import Any, Literal
from uuid import uuid4

import httpx

from core.jobs.receipts.checks import check, holds
from core.kit.signing import Keyring
from waybill.client import ClientError, Job, WaitTimedOut, WaybillClient
from waybill.smoke.document import DOCUMENT, PICTURED, QUESTION, pdf
from waybill.smoke.receiver import Receiver

_LABEL = {"source": "smoke"}
_PROBE_SECONDS = 10.0
# The embedded models call no tools.
_NO_MODEL_OF_THE_KIND = "model_without_tools"


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of one check. `skipped`: this installation does not offer the feature."""

    name: str
    status: Literal["passed", "failed", "skipped"]
    found: str
    seconds: float


class CheckFailed(Exception):
    """A check did not find what it expected; its text names the finding."""


class Skipped(Exception):
    """This installation does not offer the feature of the check."""


class Smoke:
    """Runs the checks against one API, one after the other; their data is deleted at the end."""

    def __init__(
        self,
        client: WaybillClient,
        *,
        timeout_seconds: float,
        receiver: Receiver | None,
        on_outcome: Callable[[Outcome], None],
    ) -> None:
        self._client = client
        self._timeout_seconds = timeout_seconds
        self._receiver = receiver
        self._report = on_outcome
        self._offered: frozenset[str] = frozenset()
        self._base_id = ""
        self._job: Job | None = None

    def run(self) -> list[Outcome]:
        """The outcomes, in order. A check that depends on a failed one is reported as failed too."""
        with ExitStack() as cleanup:
            self._cleanup = cleanup
            return [self._checked(name, look) for name, look in self.checks().items()]

    def checks(self) -> dict[str, Callable[[], str]]:
        """The checks, in order; every capability of the product is among them."""
        return {
            "api": self._api,
            "knowledge.ingest": self._ingest,
            "knowledge.search": self._search,
            "events": self._events,
            "waybill": self._waybill,
            "webhook": self._webhook,
            "models.chat": lambda: self._one(
                "models.chat",
                {"model": "default", "messages": [{"role": "user", "content": f"{DOCUMENT}\n\n{QUESTION}"}]},
            ),
            "models.embed": lambda: self._one("models.embed", {"model": "embedding", "texts": [QUESTION]}),
            "customer_operations.resolve": lambda: self._one(
                "customer_operations.resolve", {"message": "Where is my parcel?"}
            ),
            "agent.run": lambda: self._one("agent.run", {"message": f"{DOCUMENT}\n\n{QUESTION}", "operations": []}),
            "multimodal.understand": self._understand,
            "research.report": lambda: self._one(
                "research.report", {"question": QUESTION, "knowledge_bases": [self._base_id], "sub_questions": 1}
            ),
        }

    def _checked(self, name: str, look: Callable[[], str]) -> Outcome:
        began = monotonic()
        status: Literal["passed", "failed", "skipped"] = "passed"
        try:
            found = look()
        except Skipped as reason:
            status, found = "skipped", str(reason)
        except (CheckFailed, ClientError, WaitTimedOut) as error:
            status, found = "failed", str(error)
        outcome = Outcome(name, status, found, monotonic() - began)
        self._report(outcome)
        return outcome

    def _api(self) -> str:
        self._offered = frozenset(each.id for each in self._client.capabilities.list().data)
        ready = self._public("/readyz")
        if ready["status"] != "ready":
            down = ", ".join(name for name, each in ready["dependencies"].items() if each["status"] != "up")
            raise CheckFailed(f"the API is {ready['status']}: {down} does not answer")
        return f"ready; {len(self._offered)} capabilities"

    def _ingest(self) -> str:
        base = self._client.knowledge_bases.create(f"smoke-{uuid4().hex[:12]}", "Made by `waybill smoke`")
        self._cleanup.callback(self._client.knowledge_bases.delete, base.id)
        self._base_id = base.id
        self._client.knowledge_bases.upload(base.id, "parcels.md", DOCUMENT.encode(), "text/markdown")
        result = self._ended("knowledge.ingest", {"knowledge_base": base.id}).result or {}
        if result["counts"]["ingested"] != 1:
            raise CheckFailed(f"the document was not ingested: {json.dumps(result['documents'])[:200]}")
        return f"{result['counts']['chunks']} chunk"

    def _search(self) -> str:
        self._job = self._ended("knowledge.search", {"knowledge_base": self._base_id, "query": QUESTION})
        passages = (self._job.result or {})["passages"]
        if not any(PICTURED in passage["text"] for passage in passages):
            raise CheckFailed("the passage that answers was not found")
        return f"found it; answered: {(self._job.result or {})['answered']}"

    def _events(self) -> str:
        ids = [int(event.id) for event in self._ran().stream()]
        if not ids or ids != sorted(set(ids)):
            raise CheckFailed(f"the event ids do not ascend: {ids[:20]}")
        return f"{len(ids)} events in order"

    def _waybill(self) -> str:
        document = self._ran().waybill()
        keys = Keyring.from_jwks(self._public("/.well-known/jwks.json"))
        checks = check(document, keys)
        if not holds(checks):
            raise CheckFailed("; ".join(each.text for each in checks if each.holds is False) or "it is not signed")
        return "its signature and sums hold"

    def _webhook(self) -> str:
        if self._receiver is None:
            raise Skipped("give --receive URL, an address of this machine that the deliverer reaches")
        endpoint = self._client.webhooks.create(
            self._receiver.url, ["job.succeeded"], description="Made by `waybill smoke`"
        )
        self._cleanup.callback(self._client.webhooks.remove, endpoint.id)
        assert endpoint.secret is not None
        job = self._ended("knowledge.search", {"knowledge_base": self._base_id, "query": QUESTION, "mode": "passages"})
        message = self._receiver.wait_for(job.id, endpoint.secret, self._timeout_seconds)
        if message is None:
            raise CheckFailed(f"no signed webhook about {job.id} arrived within {self._timeout_seconds:g} s")
        return f"{message.type}, signature verified"

    def _understand(self) -> str:
        self._require("multimodal.understand")
        with TemporaryDirectory() as folder:
            path = Path(folder) / "parcels.pdf"
            path.write_bytes(pdf(DOCUMENT))
            file = self._client.files.upload(path, content_type="application/pdf")
        self._cleanup.callback(self._client.files.delete, file.id)
        return self._one("multimodal.understand", {"files": [file.id], "question": QUESTION})

    def _one(self, capability: str, asked: dict[str, Any]) -> str:
        self._require(capability)
        job = self._ended(capability, asked)
        return f"{job.id} {job.state}"

    def _ended(self, capability: str, asked: dict[str, Any]) -> Job:
        job = self._client.jobs.submit(capability, asked, metadata=_LABEL)
        try:
            job = job.wait(timeout_seconds=self._timeout_seconds, or_question=True)
        except WaitTimedOut:
            state = job.refresh().state
            job.cancel()
            raise CheckFailed(
                f"{job.id} was still {state} after {self._timeout_seconds:g} s; is a worker running?"
            ) from None
        if job.questions:
            job.cancel()
        elif job.error is not None and job.error.code == _NO_MODEL_OF_THE_KIND:
            raise Skipped(job.error.message)
        elif job.state != "succeeded":
            raise CheckFailed(f"{job.id} {job.state}: {job.error.message if job.error else 'no reason given'}")
        return job

    def _ran(self) -> Job:
        if self._job is None:
            raise CheckFailed("no job has ended")
        return self._job

    def _public(self, path: str) -> Any:
        try:
            answer = httpx.get(f"{self._client.url}{path}", timeout=_PROBE_SECONDS)
            return answer.raise_for_status().json()
        except (httpx.HTTPError, ValueError) as error:
            raise CheckFailed(f"GET {path}: {error}") from error

    def _require(self, capability: str) -> None:
        if capability not in self._offered:
            raise Skipped("not offered here")


@contextmanager
def receiving(url: str | None) -> Iterator[Receiver | None]:
    """A receiver that listens at `url`'s port while the block runs; None without one."""
    if url is None:
        yield None
        return
    with Receiver(url) as receiver:
        yield receiver
