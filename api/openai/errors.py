"""Errors in the format that OpenAI's clients read: ``{"error": {"message", "type", "param", "code"}}``.

Waybill's own code is added as ``waybill_code``, so that no information is lost.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from http import HTTPStatus
from math import ceil
from typing import Any

from starlette.responses import Response

from core.jobs.records import JobRecord
from core.jobs.states import JobState, Reason
from core.kit.clock import utc_now
from core.kit.json_values import dumps
from core.kit.telemetry import current_trace_id

INVALID = "invalid_request_error"
SERVER = "server_error"
QUOTA = "insufficient_quota"
_DOCUMENTED = "see docs/reference/openai.md for the supported parameters"

# Where OpenAI returns another status than Waybill: its clients choose their exception by it.
_STATUSES = {422: 400, 402: 429}
_KINDS = {
    401: "authentication_error",
    402: QUOTA,
    403: "permission_error",
    429: "rate_limit_error",
}
_CODES = {
    "key_missing": "invalid_api_key",
    "key_unknown": "invalid_api_key",
    "key_expired": "invalid_api_key",
    "key_revoked": "invalid_api_key",
    "token_invalid": "invalid_api_key",
    "token_expired": "invalid_api_key",
    "route_not_found": "unknown_url",
    "rate_limited": "rate_limit_exceeded",
    "budget_exhausted": QUOTA,
    "quota_exceeded": QUOTA,
    "model_unknown": "model_not_found",
    "capability_unknown": "model_not_found",
    "job_not_found": "response_not_found",
    "context_too_long": "context_length_exceeded",
}
_FIELD_CODES = {"missing": "missing_required_parameter", "extra_forbidden": "unsupported_parameter"}
# Failures that may not recur if the same request is sent a moment later.
_WORTH_REPEATING = frozenset({"rate_limited", "idempotency_in_progress", "request_timeout", "database_unavailable"})

# The status for a failed job. Codes that are not listed are failures on our side.
_OF_JOBS = {
    "model_unknown": 404,
    "model_lacks_ability": 400,
    "model_request_invalid": 400,
    "context_too_long": 400,
    "provider_refused": 400,
    "question_missing": 400,
    "image_malformed": 400,
    "invalid_input": 400,
    "file_not_found": 400,
    "guard_blocked": 400,
    "budget_exhausted": 402,
    "model_data_class": 403,
    "policy_denied": 403,
    "provider_rate_limited": 429,
    "deadline": 504,
}


@dataclass(frozen=True, slots=True)
class Failure:
    """An error in both formats. `status` is Waybill's."""

    status: int
    code: str
    message: str
    param: str | None = None
    repeat: bool = False
    headers: Mapping[str, str] = field(default_factory=dict)

    def body(self) -> dict[str, Any]:
        """The ``error`` object."""
        kind = _KINDS.get(self.status, SERVER if self.status >= HTTPStatus.INTERNAL_SERVER_ERROR else INVALID)
        return {
            "message": self.message,
            "type": kind,
            "param": self.param,
            "code": _CODES.get(self.code, self.code),
            "waybill_code": self.code,
            "trace_id": current_trace_id(),
        }

    def respond(self) -> Response:
        """The response."""
        headers = {**self.headers, "x-should-retry": "true" if self.repeat else "false", "cache-control": "no-store"}
        status = _STATUSES.get(self.status, self.status)
        return Response(dumps({"error": self.body()}), status, headers, "application/json")


def of_problem(status: int, problem: Mapping[str, Any], headers: Mapping[str, str]) -> Failure:
    """One of our problem documents as a failure; `headers` are sent along."""
    code = str(problem.get("code", "error"))
    if code == "quota_exceeded":
        status = HTTPStatus.PAYMENT_REQUIRED
    first = next(iter(problem.get("errors") or ()), None)
    if first is None:
        return Failure(status, code, str(problem.get("detail", "")), None, code in _WORTH_REPEATING, headers)
    param = first["path"].partition(".")[2] or None
    if code == "validation_error":
        code = _FIELD_CODES.get(first["code"], "invalid_value")
    message = f"{param}: {first['message']}" if param else first["message"]
    if code == "unsupported_parameter":
        message = f"Unsupported parameter: '{param}'; leave it out ({_DOCUMENTED})."
    return Failure(status, code, message, param, code in _WORTH_REPEATING, headers)


def of_job(job: JobRecord) -> Failure:
    """Why a job has no answer: it ended without one, or waits for someone."""
    if job.state is JobState.CANCELLED:
        return Failure(409, "cancelled", "the job was cancelled")
    found = job.error or {}
    if job.reason == Reason.DEPENDENCY_UNAVAILABLE:
        # If the client tries again soon, the dependency may be available.
        message = str(found.get("message") or "a service that the job depends on is unavailable")
        headers = {"Retry-After": str(_seconds_until(found.get("until")))}
        return Failure(503, str(found.get("code") or job.reason), message, repeat=True, headers=headers)
    code = str(found.get("code") or job.reason or job.state)
    # A name in the request that does not exist is for the client to correct.
    otherwise = 404 if code.endswith("_not_found") else 500
    status = 504 if job.state is JobState.EXPIRED else _OF_JOBS.get(code, otherwise)
    message = str(found.get("message") or f"the job ended {job.state}: {job.reason}")
    # The gateway and the worker have already retried as often as is useful: retries must not multiply.
    return Failure(status, code, message)


def _seconds_until(moment: object) -> int:
    try:
        left = (datetime.fromisoformat(str(moment)) - utc_now()).total_seconds()
    except ValueError:
        left = 0.0
    return max(1, ceil(left))


class Refused(Exception):
    """Ends a request of this dialect with an error."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure


def refuse(param: str, message: str, *, code: str = "invalid_value", status: int = 400) -> Refused:
    """The refusal of a parameter, by its name."""
    return Refused(Failure(status, code, message, param))
