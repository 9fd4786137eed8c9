"""Reports findings in the texts of an attempt: an event, an audit record, the class of its data; no values."""

from collections.abc import Mapping
from threading import Lock
from typing import Any, Protocol
from uuid import UUID

from core.audit.actions import AuditAction
from core.audit.record import Actor, record
from core.guard.records import Action, Findings, Source
from core.kit.data_classes import DataClass
from core.kit.db import Executor
from core.kit.ids import JOB, encode

FINDINGS = "guard.findings"
_BECAUSE = "guard"


class Attempt(Protocol):
    """The part of an attempt that a report needs."""

    job_id: UUID
    organization_id: UUID
    project_id: UUID
    attempt: int

    @property
    def executor(self) -> Executor | None:
        """Single statements as the job's tenant."""

    def emit(self, event: str, data: Mapping[str, Any]) -> None:
        """Persist an event, then publish it."""

    def raise_class(self, data_class: DataClass, because: str) -> None:
        """Raise the class of the job's data."""


class FindingsReport:
    """For one attempt. Per source, each kind and action is reported when first found. Thread-safe.

    Text that a model wrote and the job's input are not reported here: the input is reported once, when the job starts.
    """

    def __init__(self, attempt: Attempt) -> None:
        self._attempt = attempt
        self._said: set[tuple[Source, str, Action]] = set()
        self._lock = Lock()

    def __call__(self, source: Source, findings: Findings) -> None:
        """Report the new ones of `findings`. Raises `core.capability.LeaseLost`."""
        if findings.data_class is not None:
            self._attempt.raise_class(findings.data_class, because=_BECAUSE)
        if source.is_trusted or not findings.decisions:
            return
        with self._lock:
            new = [each for each in findings.decisions if (source, each.finding.kind, each.action) not in self._said]
            self._said |= {(source, each.finding.kind, each.action) for each in new}
        if new:
            self.say(source, Findings(tuple(new)))

    def say(self, source: Source, findings: Findings) -> None:
        """Report all of `findings`."""
        attempt = self._attempt
        assert attempt.executor is not None
        facts = {"source": source.value, "findings": findings.counts(), "incomplete": findings.incomplete}
        attempt.emit(FINDINGS, facts)
        record(
            attempt.executor,
            attempt.organization_id,
            attempt.project_id,
            AuditAction.GUARD_FIND,
            subject_id=encode(JOB, attempt.job_id),
            actor=Actor("worker"),
            attempt=attempt.attempt,
            detail=facts,
        )
