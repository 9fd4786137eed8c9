"""What can go wrong between a client and the API.

ClientError
├── ApiUnreachable     nothing answered at the address, or it stopped answering
├── StreamLost         an event stream broke and could not be resumed in time
├── ApiProblem         the API answered with a problem document (RFC 9457)
└── WebhookRejected    a message to a receiver is not to be trusted (`waybill.client.verification`)
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

_KNOWN = frozenset({"type", "title", "status", "detail", "instance", "code", "errors", "job_id", "trace_id"})


class ClientError(Exception):
    """Anything this client raises on purpose."""


class ApiUnreachable(ClientError):
    """No usable answer came from `url`; `reason` is a short sentence for a person."""

    def __init__(self, url: str, reason: str) -> None:
        super().__init__(f"no answer from {url}: {reason}")
        self.url = url
        self.reason = reason


class StreamLost(ClientError):
    """The event stream of `job_id` broke and stayed broken. `last_event_id` is where a later attempt resumes."""

    def __init__(self, job_id: str, last_event_id: int, reason: str) -> None:
        super().__init__(f"the event stream of {job_id} was lost after event {last_event_id}: {reason}")
        self.job_id = job_id
        self.last_event_id = last_event_id
        self.reason = reason


class EventsLost(ClientError):
    """The stream of a project's events broke and stayed broken. `cursor` is where a later attempt resumes."""

    def __init__(self, cursor: str | None, reason: str) -> None:
        where = f"after {cursor}" if cursor else "before anything came"
        super().__init__(f"the stream of events was lost {where}: {reason}")
        self.cursor = cursor
        self.reason = reason


@dataclass(frozen=True, slots=True)
class FieldError:
    """One wrong field of a request: where it is, as a dotted path, and what is wrong with it."""

    path: str
    message: str


class ApiProblem(ClientError):
    """A problem document: `status`, stable `code`, a `detail` for a person, and the fields it blames."""

    def __init__(self, status: int, body: Mapping[str, Any], retry_after_seconds: float | None = None) -> None:
        self.status = status
        self.code = str(body.get("code") or f"http_{status}")
        self.title = str(body.get("title") or f"HTTP {status}")
        self.detail = str(body.get("detail") or self.title)
        self.job_id = _optional_text(body.get("job_id"))
        self.trace_id = _optional_text(body.get("trace_id"))
        self.fields = _field_errors(body.get("errors"))
        self.extra = {name: value for name, value in body.items() if name not in _KNOWN}
        self.body = dict(body)
        self.retry_after_seconds = retry_after_seconds
        super().__init__(f"{self.status} {self.code}: {self.detail}")


def _optional_text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _field_errors(errors: object) -> tuple[FieldError, ...]:
    if not isinstance(errors, Sequence) or isinstance(errors, str | bytes):
        return ()
    return tuple(_field_error(error) for error in errors)


def _field_error(error: object) -> FieldError:
    if not isinstance(error, Mapping):
        return FieldError("", str(error))
    where = error.get("path") or error.get("pointer") or error.get("loc") or error.get("field") or ""
    if isinstance(where, Sequence) and not isinstance(where, str):
        where = ".".join(str(part) for part in where)
    message = error.get("message") or error.get("detail") or error.get("msg") or "is not valid"
    return FieldError(str(where).lstrip("#/").replace("/", "."), str(message))
