"""A job context that asks a person, in memory: the contract's `ask`, with answers given by a test."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

from pydantic import BaseModel

from core.capability import Answer, JobSuspended
from tests.factories.context import RecordingContext


@dataclass(frozen=True, slots=True)
class Question:
    """What was asked."""

    question: str
    schema: Mapping[str, Any]
    details: Mapping[str, Any]
    timeout_seconds: int
    approves: str | None = None


@dataclass
class QuestionContext(RecordingContext):
    """Suspends at a question without an answer; `next_attempt` keeps questions and answers, as the job does."""

    questions: dict[str, Question] = field(default_factory=dict)
    answers: dict[str, Answer] = field(default_factory=dict)

    def ask(
        self,
        key: str,
        question: str,
        schema: type[BaseModel] | Mapping[str, Any],
        *,
        details: Mapping[str, Any] | None = None,
        timeout_seconds: int = 86_400,
        approves: Literal["write", "money"] | None = None,
    ) -> Answer:
        """The answer to `key`, or `JobSuspended` until `answer` was called."""
        if key in self.answers:
            return self.answers[key]
        body = schema if isinstance(schema, Mapping) else schema.model_json_schema()
        self.questions[key] = Question(question, body, details or {}, timeout_seconds, approves)
        self.emit("input.required", {"key": key, "question": question})
        raise JobSuspended("input")

    def answer(self, **value: Any) -> None:
        """Answer every open question with `value`; a question keeps its first answer."""
        for key in self.questions:
            self.answers.setdefault(key, Answer(value, "key_person", datetime.now(UTC)))

    def time_out(self) -> None:
        """Let the time of every open question pass."""
        for key in self.questions:
            self.answers.setdefault(key, Answer(None, None, None, timed_out=True))

    def next_attempt(self) -> "QuestionContext":
        """The context of the attempt after this one."""
        return QuestionContext(
            capability=self.capability,
            attempt=self.attempt + 1,
            job_id=self.job_id,
            organization_id=self.organization_id,
            project_id=self.project_id,
            database=self.database,
            store=self.store,
            questions=self.questions,
            answers=self.answers,
        )
