"""A response is a job: its input, its outcome, and the labels that record the request's options."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fastapi import Request

from api.deps import get_runtime
from api.openai.errors import Failure, Refused
from api.openai.jobs import END_USER, LABELS
from api.openai.responses.capabilities import question_of, text_of
from api.openai.responses.items import Messages, answer_of
from api.routing import caller
from core.jobs.records import JobRecord
from core.kit.errors import NotFound
from core.kit.ids import JOB, decode, encode

CHAT = "models.chat"
RESPONSE = "resp"
YES = "true"


@dataclass(frozen=True, slots=True)
class Stored:
    """A job behind a response, with its payloads."""

    job: JobRecord
    given: Mapping[str, Any]
    result: Mapping[str, Any] | None

    @property
    def id(self) -> str:
        """The response's id."""
        return response_id(self.job)

    @property
    def tail(self) -> str:
        """The common part of its id and its items' ids."""
        return self.id.partition("_")[2]

    @property
    def is_chat(self) -> bool:
        """Whether a model answers, not a capability."""
        return self.job.capability == CHAT

    def label(self, name: str) -> str | None:
        """One of this dialect's labels."""
        return self.job.metadata.get(LABELS + name)

    @property
    def is_background(self) -> bool:
        """Whether it runs in the background."""
        return self.label("background") == YES

    @property
    def metadata(self) -> dict[str, str]:
        """The client's own labels."""
        return {
            name: value for name, value in self.job.metadata.items() if not name.startswith(LABELS) and name != END_USER
        }

    @property
    def text(self) -> str:
        """The answer."""
        if self.result is None:
            return ""
        return str(self.result["text"]) if self.is_chat else text_of(self.result)

    @property
    def tool_calls(self) -> list[dict[str, Any]]:
        """The tool calls that a model requests."""
        return list(self.result["tool_calls"]) if self.is_chat and self.result is not None else []

    @property
    def instructions(self) -> str | None:
        """The instructions of this response, which later ones do not inherit."""
        return str(self.given["messages"][0]["content"]) if self.label("instructions") == YES else None

    @property
    def messages(self) -> Messages:
        """The conversation up to the answer, without the instructions."""
        if not self.is_chat:
            return [{"role": "user", "content": question_of(self.given)}]
        return list(self.given["messages"][1 if self.label("instructions") == YES else 0 :])

    def conversation(self) -> Messages:
        """The conversation, including the answer."""
        return [*self.messages, answer_of(self.text, self.tool_calls)]


def response_id(job: JobRecord) -> str:
    """The id under which a client knows the job."""
    return encode(RESPONSE, job.id)


async def load(request: Request, given_id: str) -> Stored:
    """The response. Raises `Refused` for one that is unknown, was not stored, was deleted or is past its retention."""
    runtime = get_runtime(request)
    found = await runtime.in_thread(_read, request, given_id)
    if found is None:
        raise Refused(Failure(404, "response_not_found", f"there is no response {given_id[:60]} in this project"))
    return found


def _read(request: Request, given_id: str) -> Stored | None:
    runtime, principal = get_runtime(request), caller(request)
    try:
        job_id = decode(RESPONSE, given_id)
        job, given, result = runtime.jobs.get_with_payloads(
            runtime.database.single_tenant(principal.organization_id), principal, job_id
        )
    except (ValueError, NotFound):
        return None
    is_response = job.metadata.get(LABELS + "object") == "response" and job.metadata.get(LABELS + "store") == YES
    if given is None or job.payload_erased_at is not None or not is_response:
        return None
    return Stored(job, given, result)


def job_id_of(stored: Stored) -> str:
    """The job's id, as ``/v1`` knows it."""
    return encode(JOB, stored.job.id)
