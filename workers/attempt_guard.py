"""The guard of one attempt: screens its input before the start, and all text that a client can see.

Capabilities work on real values. Their deltas, events, questions, artifacts and results are screened on the way out.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from threading import Lock
from traceback import format_exception
from typing import Any, Protocol
from uuid import UUID

from core.capability import ChildOutcome
from core.guard import reporting
from core.guard.guard import Guard, JobGuard, refuse_blocked
from core.guard.holdback import RedactingStream, Restorer
from core.guard.records import Action, Direction, RedactionMode, Source
from core.guard.reporting import FINDINGS, FindingsReport
from core.guard.tokens import Token
from core.guard.values import map_texts, texts_in
from core.jobs.records import JobRecord
from core.kit.db import SingleStatement
from core.kit.errors import CapabilityFailure
from core.kit.logging import without_text

# Events that hold only codes and names of steps.
_WITHOUT_TEXT = frozenset({FINDINGS, "step.started", "step.finished"})
_TEXTUAL = ("text/", "application/json", "application/xml", "application/yaml", "application/x-ndjson")
# The size in characters of the pieces in which an artifact is screened.
_PIECE = 32_768


class Attempt(reporting.Attempt, Protocol):
    """The parts of an attempt that the guard needs."""

    job: JobRecord
    root_id: UUID

    @property
    def executor(self) -> SingleStatement:
        """Single statements as the job's tenant."""


class AttemptGuard:
    """Without a `guard`, everything passes unchanged. Safe in threads. Raises as `core.guard.guard.JobGuard`."""

    def __init__(self, guard: Guard | None, attempt: Attempt, *, logs_text: bool = False) -> None:
        self._attempt = attempt
        self._logs_text = logs_text
        self._report = FindingsReport(attempt)
        self._guard: JobGuard | None = None
        if guard is not None:
            self._guard = guard.for_job(
                attempt.executor,
                organization_id=attempt.organization_id,
                project_id=attempt.project_id,
                root_job_id=attempt.root_id,
                report=self._report,
            )
        # The text that a job streams is a single text, even if events come in between.
        self._stream: RedactingStream | None = None
        self._streaming = Lock()

    def screen_input(self, given: Any) -> None:
        """Screen all text of the job's input, before anything else uses it; report the findings once per job."""
        guard, job = self._guard, self._attempt.job
        if guard is None or not guard.looks_at(Direction.TO_MODEL, Source.INPUT):
            return
        findings = guard.screen(texts_in(given), Direction.TO_MODEL, Source.INPUT)
        if (findings.decisions or findings.incomplete) and job.attempts_spent <= 1:
            self._report.say(Source.INPUT, findings)
        self._report(Source.INPUT, findings)
        refuse_blocked(findings)

    def value(self, value: Any) -> Any:
        """A JSON value that a client will see: a result, or a question to a person."""
        if self._guard is None:
            return value
        # A child's result is restored for its parent, so text that only looks like a token must come back unchanged.
        escapes = self._attempt.job.parent_id is not None
        return self._guard.redact_value(value, Direction.TO_CLIENT, Source.MODEL_OUTPUT, escapes=escapes)

    def event(self, event: str, data: Mapping[str, Any]) -> Mapping[str, Any]:
        """The data of an event."""
        return data if self._guard is None or event in _WITHOUT_TEXT else dict(self.value(dict(data)))

    def message(self, text: str) -> str:
        """A sentence about why the job failed. If it cannot be screened, it is left out.

        Raises only `LeaseLost`, when the content raises the job's class.
        """
        try:
            return str(self.value(text))
        except CapabilityFailure as refusal:
            return f"the reason was withheld ({refusal.code})"

    def traceback(self, error: BaseException) -> str:
        """The traceback of `error`, for the worker's log. Does not raise.

        Its text may quote the job's data: it is included only if the operator wants it, and then redacted.
        """
        if not self._logs_text:
            return without_text(error)
        if self._guard is None:
            return "".join(format_exception(error))
        try:
            texts = [(Source.MODEL_OUTPUT, "".join(format_exception(error)))]
            return self._guard.redact(texts, Direction.TO_CLIENT, mode=RedactionMode.MASK).texts[0].text
        except Exception:  # noqa: BLE001 - the crash is what has to be logged
            return without_text(error)

    def for_tool(
        self, arguments: Mapping[str, Any], exempt: Collection[str]
    ) -> tuple[Mapping[str, Any], Callable[[Any], Any]]:
        """The arguments as a tool may see them, and a function that restores the values in its answer."""
        if self._guard is None:
            return arguments, _same
        sent, values = self._guard.for_tool(arguments, exempt)
        return sent, partial(_restored, values) if values else _same

    def outcomes(self, outcomes: Sequence[ChildOutcome]) -> list[ChildOutcome]:
        """The outcomes of children, with real values restored where their results were redacted for clients."""
        guard = self._guard
        if guard is None or not _redacts(guard):
            return list(outcomes)
        return [replace(each, result=guard.restore_value(each.result)) for each in outcomes]

    def artifact(self, content: bytes | Path, content_type: str) -> bytes | Path:
        """A file that a client may fetch; only text is screened."""
        stream = None if self._guard is None or not content_type.startswith(_TEXTUAL) else self._guard.stream()
        if stream is None:
            return content
        body = content if isinstance(content, bytes) else content.read_bytes()
        text = body.decode(errors="replace")
        pieces = (text[at : at + _PIECE] for at in range(0, len(text), _PIECE))
        return "".join((*map(stream.feed, pieces), stream.end())).encode()

    @property
    def holds_deltas(self) -> bool:
        """Whether pieces of the text may wait for later ones."""
        return self._stream is not None

    def delta(self, text: str) -> str:
        """The next piece of the text that the job streams; returns what may be shown now."""
        if self._guard is None:
            return text
        with self._streaming:
            if self._stream is None:
                self._stream = self._guard.stream()
            return text if self._stream is None else self._stream.feed(text)

    def end_stream(self) -> str:
        """The rest of the text, once the job has ended. Text held back for a job that breaks off is dropped."""
        with self._streaming:
            return "" if self._stream is None else self._stream.end()


def _same(value: Any) -> Any:
    return value


def _restored(values: Mapping[Token, str], value: Any) -> Any:
    def restore(text: str) -> str:
        restorer = Restorer(values.get)
        return restorer.feed(text) + restorer.end()

    return map_texts(value, restore)


def _redacts(guard: JobGuard) -> bool:
    return guard.strictest(Direction.TO_CLIENT, Source.MODEL_OUTPUT).rank >= Action.REDACT.rank
