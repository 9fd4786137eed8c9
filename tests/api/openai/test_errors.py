"""Our refusals in OpenAI's words, and which of them are worth repeating."""

from typing import Any

import orjson
import pytest

from api.openai.errors import of_problem

FIELD = {"path": "body.tools.0.name", "code": "missing", "message": "Field required"}
CASES: list[tuple[int, dict[str, Any], tuple[int, str, str, str | None, str]]] = [
    (401, {"code": "key_expired"}, (401, "authentication_error", "invalid_api_key", None, "false")),
    (402, {"code": "budget_exhausted"}, (429, "insufficient_quota", "insufficient_quota", None, "false")),
    (403, {"code": "scope_missing"}, (403, "permission_error", "scope_missing", None, "false")),
    (403, {"code": "quota_exceeded"}, (429, "insufficient_quota", "insufficient_quota", None, "false")),
    (409, {"code": "idempotency_in_progress"}, (409, "invalid_request_error", "idempotency_in_progress", None, "true")),
    (
        422,
        {"code": "validation_error", "errors": [FIELD]},
        (400, "invalid_request_error", "missing_required_parameter", "tools.0.name", "false"),
    ),
    (429, {"code": "rate_limited"}, (429, "rate_limit_error", "rate_limit_exceeded", None, "true")),
    (500, {"code": "internal_error"}, (500, "server_error", "internal_error", None, "false")),
    (503, {"code": "database_unavailable"}, (503, "server_error", "database_unavailable", None, "true")),
]


@pytest.mark.parametrize(("status", "problem", "expected"), CASES)
def test_a_problem_is_reported_in_openais_words(
    status: int, problem: dict[str, Any], expected: tuple[int, str, str, str | None, str]
) -> None:
    answer = of_problem(status, {"detail": "why", **problem}, {"retry-after": "2"}).respond()
    error = orjson.loads(bytes(answer.body))["error"]
    reported = (answer.status_code, error["type"], error["code"], error["param"], answer.headers["x-should-retry"])
    assert reported == expected
    assert error["waybill_code"] in {problem["code"], "missing_required_parameter"}
    assert answer.headers["retry-after"] == "2"
    assert error["message"]
