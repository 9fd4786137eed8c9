"""A job as the playground shows it: what a person reads first of its result."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from api.console import formats
from api.deps import Runtime
from core.jobs.records import JobRecord
from core.jobs.service import listed
from core.keys.clearance import is_cleared
from core.keys.principal import Principal
from core.kit.db import SingleStatement
from core.kit.ids import JOB, encode
from core.ledger.service import entries_of

# What capabilities call the text that they write, the best first.
_TEXTS = ("answer", "reply", "markdown", "text")
_QUESTIONS = ("query", "question", "message")
_FACTS_MAX = 12


@dataclass(frozen=True, slots=True)
class Run:
    """A job, its input and its result; None without clearance, or after their retention period."""

    job: JobRecord
    given: dict[str, Any] | None
    result: dict[str, Any] | None
    models: tuple[str, ...]
    is_cleared: bool

    @property
    def id(self) -> str:
        """The job's id."""
        return encode(JOB, self.job.id)

    @property
    def text(self) -> str | None:
        """What the capability wrote, if it wrote one text."""
        found = (self.result or {}).get
        return next((value for name in _TEXTS if isinstance(value := found(name), str) and value), None)

    @property
    def asked(self) -> str:
        """What it was asked, where that is one text."""
        found = (self.given or {}).get
        return next((value for name in _QUESTIONS if isinstance(value := found(name), str) and value), "")

    @property
    def no_answer(self) -> str:
        """Why there is no answer, in the capability's word."""
        return str((self.result or {}).get("no_answer") or "")

    @property
    def citations(self) -> Sequence[Mapping[str, Any]]:
        """Quotes of documents that the text refers to by number."""
        return _mappings((self.result or {}).get("citations"))

    @property
    def passages(self) -> Sequence[Mapping[str, Any]]:
        """What was found, best first, with scores."""
        return _mappings((self.result or {}).get("passages"))

    @property
    def facts(self) -> list[tuple[str, Any]]:
        """Its short values."""
        return [
            (name, value)
            for name, value in (self.result or {}).items()
            if isinstance(value, bool | int | float | str) and name not in _TEXTS and len(str(value)) <= 120  # noqa: PLR2004
        ][:_FACTS_MAX]

    @property
    def trace_id(self) -> str | None:
        """Its trace, as logs and backends name it."""
        return formats.trace_id(self.job.traceparent)


def see(runtime: Runtime, session: SingleStatement, principal: Principal, job_id: UUID) -> Run:
    """A job of the caller's project. Raises `NotFound`. Blocks."""
    job = runtime.jobs.get(session, principal, job_id)
    cleared = is_cleared(principal, job.data_class)
    given = result = None
    if cleared:
        job, given, result = runtime.jobs.get_with_payloads(session, principal, job_id)
    models = dict.fromkeys(f"{each.provider}/{each.model}" for each in entries_of(session, principal, job_id))
    return Run(listed(principal, job), given, result, tuple(models), cleared)


def _mappings(value: Any) -> Sequence[Mapping[str, Any]]:
    return [each for each in value if isinstance(each, Mapping)] if isinstance(value, list) else []
