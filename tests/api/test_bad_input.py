"""Item 9 of the spine: every bad input is a clear problem, none a 500."""

import http.client
import json
from datetime import timedelta
from urllib.parse import urlsplit

import httpx
import pytest

from core.keys.hashing import generate_key
from tests.factories.api import RunningApi, issue_key, revoke_key

GOOD = {"capability": "probe.act", "input": {"act": "noop"}}


def problem(response: httpx.Response, status: int, code: str) -> dict[str, object]:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    body: dict[str, object] = response.json()
    assert body["code"] == code, body
    assert body["status"] == status
    assert body["title"]
    assert body["detail"]
    assert body["type"] == f"urn:waybill:problem:{code}"
    assert body["trace_id"] == response.headers["x-request-id"]
    return body


def paths(body: dict[str, object]) -> list[str]:
    errors = body["errors"]
    assert isinstance(errors, list)
    return [error["path"] for error in errors]


def post_raw(client: httpx.Client, content: bytes, content_type: str = "application/json") -> httpx.Response:
    return client.post("/v1/jobs", content=content, headers={"content-type": content_type})


def test_unknown_capability(client: httpx.Client) -> None:
    body = problem(client.post("/v1/jobs", json={**GOOD, "capability": "no.such"}), 422, "capability_unknown")
    assert paths(body) == ["body.capability"]
    assert "probe.act" in str(body["detail"])


@pytest.mark.parametrize(
    ("given", "path"),
    [
        ({"capability": "probe.act"}, "body.input"),
        ({"capability": "probe.act", "input": {"act": "dance"}}, "body.input.act"),
        ({"capability": "probe.act", "input": {"act": "noop", "unknown": 1}}, "body.input.unknown"),
        ({**GOOD, "input": []}, "body.input"),
        ({**GOOD, "surprise": 1}, "body.surprise"),
        ({**GOOD, "priority": "urgent"}, "body.priority"),
        ({**GOOD, "run_at": "2026-01-01T00:00:00"}, "body.run_at"),
        ({**GOOD, "run_at": "tomorrow"}, "body.run_at"),
        ({**GOOD, "run_at": 1795400000}, "body.run_at"),
        ({**GOOD, "run_at": "1795400000"}, "body.run_at"),
        ({**GOOD, "run_at": "2026-02-30T00:00:00Z"}, "body.run_at"),
        ({**GOOD, "run_at": "9999-12-31T23:59:59-05:00"}, "body.run_at"),
        ({**GOOD, "max_attempts": 0}, "body.max_attempts"),
        ({**GOOD, "max_attempts": 1e300}, "body.max_attempts"),
        ({**GOOD, "deadline_seconds": -1}, "body.deadline_seconds"),
        ({**GOOD, "deadline_seconds": 12345678901234567890123}, "body.deadline_seconds"),
        ({**GOOD, "deadline_seconds": 5, "deadline_at": "2030-01-01T00:00:00Z"}, "body"),
        ({**GOOD, "run_at": "2031-01-01T00:00:00Z", "deadline_at": "2030-01-01T00:00:00Z"}, "body"),
        ({**GOOD, "metadata": {"a": 1}}, "body.metadata.a"),
        ({**GOOD, "metadata": {"": "x"}}, "body.metadata"),
        ({**GOOD, "metadata": {str(number): "x" for number in range(33)}}, "body.metadata"),
        ([], "body"),
        ("text", "body"),
        (None, "body"),
    ],
)
def test_schema_violations_name_the_field(client: httpx.Client, given: object, path: str) -> None:
    body = problem(client.post("/v1/jobs", json=given), 422, "validation_error")
    assert any(found.startswith(path) for found in paths(body)), body


def test_the_input_is_never_quoted(client: httpx.Client) -> None:
    response = client.post("/v1/jobs", json={**GOOD, "priority": "hunter2", "input": {"act": "hunter2"}})
    assert response.status_code == 422
    assert "hunter2" not in response.text


def test_an_empty_body(client: httpx.Client) -> None:
    problem(client.post("/v1/jobs"), 422, "validation_error")


@pytest.mark.parametrize(
    "content",
    [
        b"{",
        b"not json",
        b'{"capability": NaN, "input": {}}',
        b'{"capability": "probe.act", "input": {"seconds": Infinity}}',
        b'{"capability": "\xff", "input": {}}',
        b'{"capability": "a\x00b", "input": {}}',
        b"\xef\xbb\xbf{}",
    ],
)
def test_malformed_json(client: httpx.Client, content: bytes) -> None:
    problem(post_raw(client, content), 400, "malformed_json")


def test_a_number_beyond_a_double(client: httpx.Client) -> None:
    given = b'{"capability": "probe.act", "input": {"seconds": 1e999}}'
    problem(post_raw(client, given), 400, "number_too_large")


@pytest.mark.parametrize("levels", [80, 5_000, 200_000])
def test_nesting_too_deep(client: httpx.Client, levels: int) -> None:
    nested = b'{"capability":"probe.act","input":{"note":' + b"[" * levels + b"]" * levels + b"}}"
    problem(post_raw(client, nested), 400, "nesting_too_deep")


@pytest.mark.parametrize(
    ("content", "path"),
    [
        (rb'{"capability":"probe.act","input":{"note":"a\u0000b"}}', "body.input.note"),
        (rb'{"capability":"probe.act","input":{"n\u0000":1}}', "body.input"),
        (rb'{"capability":"probe.act","input":{},"metadata":{"k":"\u0000"}}', "body.metadata.k"),
        (rb'{"capability":"probe.act","input":{"note":"\ud800"}}', "body"),
        (rb'{"capability":"probe.act","input":{"note":"\udc00"}}', "body"),
        (rb'{"capability":"probe.act","input":{"note":"\ud800\ud800"}}', "body"),
    ],
)
def test_text_that_postgres_cannot_hold(client: httpx.Client, content: bytes, path: str) -> None:
    assert paths(problem(post_raw(client, content), 422, "invalid_text")) == [path]


def test_an_escaped_backslash_before_u0000_is_only_text(client: httpx.Client) -> None:
    response = post_raw(client, rb'{"capability":"probe.act","input":{"note":"a\\u0000b"}}')
    assert response.status_code == 202, response.text


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", "application/jsonx", ""])
def test_wrong_content_type(client: httpx.Client, content_type: str) -> None:
    problem(post_raw(client, json.dumps(GOOD).encode(), content_type), 415, "unsupported_media_type")


@pytest.mark.parametrize(
    "content_type", ["application/json; charset=utf-8", "Application/JSON", "application/vnd.x+json"]
)
def test_accepted_content_types(client: httpx.Client, content_type: str) -> None:
    assert post_raw(client, json.dumps(GOOD).encode(), content_type).status_code == 202


def test_oversized_body_with_a_length(client: httpx.Client) -> None:
    body = problem(post_raw(client, b'"' + b"x" * (5 * 1024 * 1024) + b'"'), 413, "payload_too_large")
    assert body["max_bytes"] == 4 * 1024 * 1024


def test_oversized_body_in_chunks(client: httpx.Client) -> None:
    chunks = (b" " * 65536 for _ in range(100))
    headers = {"content-type": "application/json"}
    problem(client.post("/v1/jobs", content=chunks, headers=headers), 413, "payload_too_large")


def test_the_largest_body_is_accepted_and_kept_in_the_blob_store(client: httpx.Client) -> None:
    note = "x" * (4 * 1024 * 1024 - 200)
    accepted = client.post("/v1/jobs", json={"capability": "probe.act", "input": {"note": note}})
    assert accepted.status_code == 202


def test_keys(api: RunningApi) -> None:
    expired = issue_key(api.settings, expires_in=timedelta(milliseconds=1))
    revoked = issue_key(api.settings)
    revoke_key(api.settings, revoked)
    good = api.key.plaintext
    refused = {
        "": "key_missing",
        "nonsense": "key_unknown",
        good[:-1] + ("a" if good[-1] != "a" else "b"): "key_unknown",
        generate_key().plaintext: "key_unknown",
        expired.plaintext: "key_expired",
        revoked.plaintext: "key_revoked",
    }
    for plaintext, code in refused.items():
        with api.client(plaintext) as client:
            for _ in range(2):  # the second answer comes from memory
                response = client.get("/v1/jobs")
                problem(response, 401, code)
                assert response.headers["www-authenticate"].startswith("Bearer ")
    with api.client("") as client:
        problem(client.get("/v1/jobs", headers={"Authorization": "Basic abc"}), 401, "key_missing")


def test_a_refused_caller_learns_nothing_about_parameters(api: RunningApi) -> None:
    with api.client("") as client:
        problem(client.post("/v1/jobs", content=b"{"), 401, "key_missing")
        problem(client.get("/v1/jobs?limit=x"), 401, "key_missing")


@pytest.mark.parametrize(
    ("method", "path", "held", "missing"),
    [
        ("POST", "/v1/jobs", ("jobs:read",), "jobs:write"),
        ("GET", "/v1/jobs", ("jobs:write",), "jobs:read"),
        ("GET", "/v1/capabilities", ("knowledge:read",), "jobs:read"),
    ],
)
def test_a_missing_scope_is_named(api: RunningApi, method: str, path: str, held: tuple[str, ...], missing: str) -> None:
    with api.client(issue_key(api.settings, scopes=held)) as client:
        body = problem(client.request(method, path, json=GOOD if method == "POST" else None), 403, "scope_missing")
    assert body["scope"] == missing


def test_a_foreign_job_is_not_found(api: RunningApi, client: httpx.Client) -> None:
    job = client.post("/v1/jobs", json=GOOD).json()
    strangers = (issue_key(api.settings, organization="other"), issue_key(api.settings, project="other"))
    for stranger in strangers:
        with api.client(stranger) as foreign:
            problem(foreign.get(f"/v1/jobs/{job['id']}"), 404, "job_not_found")
            problem(foreign.get(f"/v1/jobs/{job['id']}/events"), 404, "job_not_found")
            problem(foreign.post(f"/v1/jobs/{job['id']}/cancel"), 404, "job_not_found")
            assert foreign.get("/v1/jobs").json()["data"] == []
    assert client.get(f"/v1/jobs/{job['id']}").status_code == 200


@pytest.mark.parametrize(
    "job_id", ["x", "job_", "job_zzzzzzzzzzzzzzzzzzzzzzzzzz", "key_01jd3q8v9tfq8a1b2c3d4e5f6g", "%00"]
)
def test_an_impossible_id_is_not_found(client: httpx.Client, job_id: str) -> None:
    problem(client.get(f"/v1/jobs/{job_id}"), 404, "job_not_found")


def test_framework_refusals(client: httpx.Client) -> None:
    problem(client.get("/v1/nothing"), 404, "route_not_found")
    problem(client.get("/v1/jobs/"), 404, "route_not_found")
    problem(client.get("/"), 404, "route_not_found")
    refused = client.delete("/v1/jobs")
    problem(refused, 405, "method_not_allowed")
    assert set(refused.headers["allow"].split(", ")) == {"GET", "HEAD", "POST"}


@pytest.mark.parametrize(
    ("query", "path"),
    [
        ("limit=0", "query.limit"),
        ("limit=201", "query.limit"),
        ("limit=x", "query.limit"),
        ("state=sleeping", "query.state"),
        ("created_after=yesterday", "query.created_after"),
        ("created_after=2026-01-01T00:00:00", "query.created_after"),
        ("created_before=0.5", "query.created_before"),
        ("cursor=nonsense", "query.cursor"),
        ("cursor=MQ", "query.cursor"),
        ("cursor=%C3%A9", "query.cursor"),
        ("metadata[]=x", "query.metadata"),
        ("&".join(f"metadata[{number}]=x" for number in range(33)), "query.metadata"),
    ],
)
def test_bad_queries(client: httpx.Client, query: str, path: str) -> None:
    body = problem(client.get(f"/v1/jobs?{query}"), 422, "validation_error")
    assert any(found.startswith(path) for found in paths(body)), body


@pytest.mark.parametrize("query", ["capability=%00", "metadata[a]=%00", "metadata[%00]=a", "cursor=%00"])
def test_a_nul_in_a_query(client: httpx.Client, query: str) -> None:
    problem(client.get(f"/v1/jobs?{query}"), 422, "invalid_text")


@pytest.mark.parametrize("moment", ["0001-01-01T00:00:00Z", "1900-01-01T00:00:00%2B14:00", "9999-12-31T23:59:59-12:00"])
def test_times_at_the_ends_of_the_calendar(client: httpx.Client, moment: str) -> None:
    client.post("/v1/jobs", json=GOOD).raise_for_status()
    after = client.get(f"/v1/jobs?created_after={moment}")
    before = client.get(f"/v1/jobs?created_before={moment}")
    if moment.startswith(("0001", "9999")):
        assert {after.status_code, before.status_code} <= {200, 422}
    else:
        assert len(after.json()["data"]) >= 1
        assert before.json()["data"] == []


@pytest.mark.parametrize("value", ["abc", "-1", "1.5", "9" * 40, "\u0661".encode().decode("latin-1")])
def test_a_bad_last_event_id(client: httpx.Client, value: str) -> None:
    job = client.post("/v1/jobs", json=GOOD).json()
    response = client.get(f"/v1/jobs/{job['id']}/events", headers={b"last-event-id": value.encode("latin-1")})
    assert paths(problem(response, 422, "validation_error")) == ["header.last-event-id"]


def test_what_is_not_http_is_refused_by_the_server(api: RunningApi) -> None:
    target = urlsplit(api.url)
    assert target.hostname is not None
    connection = http.client.HTTPConnection(target.hostname, target.port or 0, timeout=5)
    connection.putrequest("GET", "/v1/jobs", skip_host=True)
    connection.putheader("X-Bad", "a" * 200_000)
    try:
        connection.endheaders()
        status = connection.getresponse().status
    except (ConnectionError, http.client.HTTPException):
        status = 400
    finally:
        connection.close()
    assert status < 500
    with api.client() as client:
        assert client.get("/v1/jobs").status_code == 200
