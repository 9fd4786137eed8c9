"""The demo's other services: a customer's message, a picture, a report; each skipped when no worker offers it."""

import json
import mimetypes
from collections.abc import Callable
from pathlib import Path
from time import sleep
from typing import TYPE_CHECKING, Any

from waybill.cli.output import Output
from waybill.demo.place import Place, make_key

if TYPE_CHECKING:
    from waybill.client import Job, WaybillClient

RESOLVE, UNDERSTAND, REPORT = "customer_operations.resolve", "multimodal.understand", "research.report"
TERMINAL = frozenset({"succeeded", "failed", "cancelled", "expired", "rejected"})
_PAUSE_SECONDS = 0.2
_AGENT = "crewai:"
_RESEARCH = "How are damaged parcels claimed, and how many stops may a delivery van tour have?"


class Services:
    """Runs each of them once, and shows its result with its cost."""

    def __init__(
        self,
        client: "WaybillClient",
        place: Place,
        output: Output,
        *,
        examples: Path,
        base_id: str,
        label: dict[str, str],
    ) -> None:
        self._client = client
        self._place = place
        self._output = output
        self._examples = examples
        self._base = base_id
        self._label = label
        self._offered = {each.id for each in client.capabilities.list().data}

    def run(self) -> dict[str, Any]:
        """The jobs by capability; those that this stack offers and whose examples are present."""
        found: dict[str, Any] = {}
        shows: dict[str, Callable[[], Job | None]] = {
            RESOLVE: self._resolve,
            UNDERSTAND: self._understand,
            REPORT: self._report,
        }
        for number, (capability, show) in enumerate(shows.items(), start=5):
            if capability not in self._offered:
                self._head(f"{number}. {capability}", "left out: no worker here offers it")
                continue
            job = show()
            if job is not None:
                found[capability] = job.as_json()
        return found

    def _resolve(self) -> "Job | None":
        from waybill.client import WaybillClient

        file = self._examples / "customer-operations-approval.json"
        if not file.is_file():
            return None
        asked = json.loads(file.read_text(encoding="utf-8"))
        self._head("5. A customer's message, resolved", f"“{asked['message']}”")
        job = self._submit(RESOLVE, {**asked, "knowledge_base": self._base})
        job = self._until(job, waits=True)
        for question in job.questions:
            self._output.show(
                f"it asks a person: {question.question}",
                "answered here with: approved, by another key than the one that submitted the job",
            )
            with WaybillClient(self._place.url, make_key(self._place.settings, approves=True)) as approver:
                approver.jobs.answer(job.id, {"approved": True}, key=question.key)
        job = self._until(job)
        result = job.result or {}
        if result:
            intent = result["intent"]
            acted = ", ".join(str(action.get("operation") or action.get("tool")) for action in result["actions"])
            self._output.show(
                f"understood: {intent.get('name')}, decided: {result['decision']}, did: {acted or 'nothing'}"
            )
            self._output.show(result["reply"])
        return self._end(job)

    def _understand(self) -> "Job | None":
        file = self._examples / "multimodal" / "receipt.png"
        if not file.is_file():
            return None
        question = "What is the total?"
        self._head("6. A picture, understood", f"{file.name}: {question}")
        kind = mimetypes.guess_type(file.name)[0] or "application/octet-stream"
        uploaded = self._client.files.upload(file, content_type=kind)
        job = self._until(self._submit(UNDERSTAND, {"files": [uploaded.id], "question": question}))
        result = job.result or {}
        if result:
            self._output.show(str(result["answer"]))
            for region in result["regions"][:2]:
                self._output.show(f"  page {region['page']}, box {region['box']} {region['unit']}: “{region['text']}”")
            self._output.show(f"left behind: {', '.join(each.name for each in self._client.files.artifacts(job.id))}")
        return self._end(job)

    def _report(self) -> "Job | None":
        self._head("7. A report, researched by a crew inside a graph; its worker is killed on the way", _RESEARCH)
        job = self._submit(REPORT, {"question": _RESEARCH, "knowledge_bases": [self._base], "sub_questions": 3})
        steps: dict[int, dict[str, None]] = {}
        killed = False
        for event in self._client.jobs.events(job.id, on_alive=self._place.tend):
            step = str(event.data.get("step", ""))
            if step:
                steps.setdefault(event.attempt or 1, {})[step] = None
            if step.startswith(_AGENT) and not killed:
                killed = self._kill_worker(job)
        job = self._client.jobs.get(job.id)
        for attempt, taken in steps.items():
            self._output.show(f"attempt {attempt}: {', '.join(taken)}")
        if job.result:
            self._output.show(f"left behind: {', '.join(each.name for each in self._client.files.artifacts(job.id))}")
        return self._end(job)

    def _kill_worker(self, job: "Job") -> bool:
        if self._place.kill_worker is not None:
            pid = self._place.kill_worker(job.capability.partition(".")[0])
            self._output.show(
                f"killed the worker that runs it (SIGKILL to process {pid}); when its lease of"
                f" {self._place.settings.lease_seconds:.0f} s ends, the next attempt resumes where it was"
            )
        return True

    def _submit(self, capability: str, asked: dict[str, Any]) -> "Job":
        return self._client.jobs.submit(capability, asked, priority="high", metadata=self._label)

    def _until(self, job: "Job", *, waits: bool = False) -> "Job":
        """The job once it has ended, or, when it `waits`, once it asks a person."""
        while True:
            job = self._client.jobs.get(job.id)
            if job.state in TERMINAL or (waits and job.questions):
                return job
            self._place.tend()
            sleep(_PAUSE_SECONDS)

    def _end(self, job: "Job") -> "Job":
        from waybill.cli.answers import cost_line

        if job.error is not None:
            self._output.show(f"{job.state}: {job.error.message}")
        self._output.show(cost_line(job.record))
        return job

    def _head(self, title: str, subtitle: str) -> None:
        from rich.text import Text

        self._output.show("", Text(title, style="bold underline"), Text(subtitle, style="dim"))
