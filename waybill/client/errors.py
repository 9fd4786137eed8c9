"""Every exception that this client raises.

ClientError
├── ApiUnreachable         no answer from the address, the connection broke, or another program answered
├── ApiProblem             the API answered with a problem document (RFC 9457): `status`, `code`, `detail`
│   ├── InvalidRequest     400, 413, 415, 422: the request is invalid; `fields` says where
│   ├── NotAuthenticated   401: the key is missing, unknown, revoked or expired
│   ├── BudgetExhausted    402: a budget is used up
│   ├── NotPermitted       403: the key may not do this
│   ├── NotFound           404: it does not exist, or this key may not see it
│   ├── Conflict           409: the request conflicts with the current state
│   ├── Gone               410: it has been deleted
│   ├── RateLimited        429: a limit is used up; retry after `retry_after_seconds`
│   └── ServerProblem      5xx: the API itself failed
├── JobFailed              a job did not succeed, so it has no result
├── WaitTimedOut           a job has not ended in the given time; it is still running (also a `TimeoutError`)
├── StreamLost             the event stream of a job broke and could not be resumed in time
├── EventsLost             the event stream of a project broke and could not be resumed in time
└── WebhookRejected        a webhook message cannot be trusted (`waybill.client.verification`)
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

_KNOWN = frozenset({"type", "title", "status", "detail", "instance", "code", "errors", "job_id", "trace_id"})


class ClientError(Exception):
    """Base class of this client's exceptions."""


class ApiUnreachable(ClientError):
    """No usable answer came from `url`; `reason` is a short sentence for a person."""

    def __init__(self, url: str, reason: str) -> None:
        super().__init__(f"no answer from {url}: {reason}")
        self.url = url
        self.reason = reason


class JobFailed(ClientError):
    """A job ended as `state` other than ``succeeded``; `code` and `message` are its error, or its reason."""

    def __init__(self, job_id: str, state: str, code: str, message: str) -> None:
        super().__init__(f"{job_id} {state}: {code}" + (f": {message}" if message else ""))
        self.job_id = job_id
        self.state = state
        self.code = code
        self.message = message


class WaitTimedOut(ClientError, TimeoutError):
    """The job or batch `job_id` was still `state` after `timeout_seconds`. It keeps running; you can wait again."""

    def __init__(self, job_id: str, state: str, timeout_seconds: float) -> None:
        super().__init__(f"{job_id} is still {state} after {timeout_seconds:g} s")
        self.job_id = job_id
        self.state = state
        self.timeout_seconds = timeout_seconds


class StreamLost(ClientError):
    """The event stream of `job_id` broke and could not be resumed. Resume later from `last_event_id`."""

    def __init__(self, job_id: str, last_event_id: int, reason: str) -> None:
        super().__init__(f"the event stream of {job_id} was lost after event {last_event_id}: {reason}")
        self.job_id = job_id
        self.last_event_id = last_event_id
        self.reason = reason


class EventsLost(ClientError):
    """The event stream of a project broke and could not be resumed. Resume later from `cursor`."""

    def __init__(self, cursor: str | None, reason: str) -> None:
        where = f"after {cursor}" if cursor else "before the first event"
        super().__init__(f"the event stream was lost {where}: {reason}")
        self.cursor = cursor
        self.reason = reason


@dataclass(frozen=True, slots=True)
class FieldError:
    """One invalid field of a request: its dotted path, and what is wrong with it."""

    path: str
    message: str


class ApiProblem(ClientError):
    """A problem document: `status`, stable `code`, a readable `detail`, and the invalid fields."""

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


class InvalidRequest(ApiProblem):
    """The request is invalid (400, 413, 415, 422). Do not retry it unchanged."""


class NotAuthenticated(ApiProblem):
    """The key is missing, unknown, revoked or expired (401)."""


class BudgetExhausted(ApiProblem):
    """A budget is used up (402)."""


class NotPermitted(ApiProblem):
    """The key may not do this (403)."""


class NotFound(ApiProblem):
    """It does not exist, or this key may not see it (404)."""


class Conflict(ApiProblem):
    """The request conflicts with the current state (409)."""


class Gone(ApiProblem):
    """It has been deleted (410)."""


class RateLimited(ApiProblem):
    """A limit is used up (429). `retry_after_seconds` says when to retry, where the API knows."""


class ServerProblem(ApiProblem):
    """The API itself failed (5xx)."""


_BY_STATUS: Mapping[int, type[ApiProblem]] = {
    400: InvalidRequest,
    401: NotAuthenticated,
    402: BudgetExhausted,
    403: NotPermitted,
    404: NotFound,
    409: Conflict,
    410: Gone,
    413: InvalidRequest,
    415: InvalidRequest,
    422: InvalidRequest,
    429: RateLimited,
}
_SERVER = 500


def problem_class(status: int) -> type[ApiProblem]:
    """The class for a status, or `ApiProblem` if it has none."""
    return _BY_STATUS.get(status, ServerProblem if status >= _SERVER else ApiProblem)


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
