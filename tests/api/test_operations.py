import asyncio
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import Request, Response
from fastapi.routing import APIRoute

from api.main import create_app
from api.openai.dialect import PREFIX
from api.routing import PUBLIC, new_router, required_scope
from core.keys.service import SCOPES
from core.kit.settings import Settings
from tests.factories.api import RunningApi

ROOT = Path(__file__).resolve().parents[2]
FORBIDDEN = ("langchain", "langchain_core", "langgraph", "crewai", "spacy", "onnxruntime", "numpy", "openai", "celery")
PUBLIC_PATHS = {"/healthz", "/readyz", "/metrics", "/docs", "/docs/{name}", "/openapi.json", "/.well-known/jwks.json"}
NOOP = {"capability": "probe.act", "input": {"act": "noop"}}


def run_python(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True, timeout=60
    )
    return done.stdout


def test_importing_the_api_loads_no_agent_framework() -> None:
    found = run_python(
        "import sys, api.main, api.server; from pipelines.registry import manifests; manifests();"
        f"print([name for name in {FORBIDDEN!r} if name in sys.modules])"
    )
    assert found.strip() == "[]"


def routes() -> list[APIRoute]:
    app = create_app(Settings())
    return [route for route in app.routes if isinstance(route, APIRoute)]


# They are asked with a body and change nothing.
CALCULATIONS = {"/v1/backtests/budget", "/v1/backtests/limit", "/v1/backtests/prices"}


def test_every_route_names_a_known_scope_or_is_on_the_short_public_list() -> None:
    for route in routes():
        scope = required_scope(route.endpoint)
        if scope == PUBLIC:
            assert route.path in PUBLIC_PATHS
        else:
            assert scope in SCOPES, route.path
            assert scope.endswith("read") == (route.methods == {"GET"} or route.path in CALCULATIONS), route.path


def test_a_route_that_declares_nothing_does_not_start() -> None:
    async def endpoint(request: Request) -> Response:
        return Response()

    with pytest.raises(RuntimeError, match="declares neither a scope"):
        new_router("/v1/forgotten", "forgotten").get("")(endpoint)


def test_every_route_refuses_a_caller_without_a_key(api: RunningApi) -> None:
    with api.client("") as client:
        for route in routes():
            path = re.sub(r"{\w+}", "x", route.path)
            for method in route.methods or ():
                status = client.request(method, path).status_code
                assert (status == 401) == (route.path not in PUBLIC_PATHS), f"{method} {path} {status}"


def test_health_and_readiness(api: RunningApi) -> None:
    with api.client("") as client:
        assert client.get("/healthz").json() == {"status": "ok"}
        ready = client.get("/readyz").json()
        assert ready["status"] == "ready"
        assert {name: found["status"] for name, found in ready["dependencies"].items()} == {
            "postgres": "up",
            "redis": "up",
        }


def test_metrics_have_bounded_labels(api: RunningApi, client: httpx.Client) -> None:
    job = client.post("/v1/jobs", json=NOOP).json()
    client.get(f"/v1/jobs/{job['id']}")
    client.get("/v1/unheard-of/abc")
    client.request("PROPFIND", "/v1/jobs")
    text = client.get("/metrics").text
    assert 'waybill_jobs_submitted_total{capability="probe.act"}' in text
    assert 'waybill_http_requests_total{method="GET",route="/v1/jobs/{job_id}",status="2xx"}' in text
    assert 'waybill_http_requests_total{method="GET",route="unmatched",status="4xx"}' in text
    assert 'method="OTHER"' in text
    assert job["id"] not in text
    assert "unheard-of" not in text
    assert "PROPFIND" not in text
    assert 'waybill_http_request_duration_seconds_bucket{le="0.1",method="POST",route="/v1/jobs"}' in text


def test_a_scraper_may_ask_for_openmetrics(client: httpx.Client) -> None:
    answer = client.get("/metrics", headers={"accept": "application/openmetrics-text; version=1.0.0"})
    assert answer.headers["content-type"].startswith("application/openmetrics-text")
    assert answer.text.endswith("# EOF\n")
    assert client.get("/metrics").headers["content-type"].startswith("text/plain")


def test_the_documentation_loads_nothing_from_elsewhere(api: RunningApi) -> None:
    with api.client("") as client:
        page = client.get("/docs")
        assert page.status_code == 200
        references = re.findall(r'(?:src|href)="([^"]+)"', page.text)
        assert len(references) == 4
        assert all(reference.startswith("/docs/") for reference in references)
        for reference in references:
            assert client.get(reference).status_code == 200, reference
        start = client.get("/docs/start.js").text
        assert "/openapi.json" in start
        assert "//" not in start.replace("https://", "//") or "http" not in start
        policy = page.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "http" not in policy
        assert client.get("/docs/../../etc/passwd").status_code == 404
        assert client.get("/docs/%2e%2e%2fcore.py").status_code == 404


def test_the_first_reader_of_the_document_holds_up_no_one(settings: Settings) -> None:
    async def turns_meanwhile() -> tuple[int, set[bytes]]:
        transport = httpx.ASGITransport(create_app(settings))
        async with httpx.AsyncClient(transport=transport, base_url="http://waybill.test") as client:
            asked = [asyncio.ensure_future(client.get("/openapi.json")) for _ in range(3)]
            turns = 0
            while not all(each.done() for each in asked):
                await asyncio.sleep(0.001)
                turns += 1
            return turns, {each.result().content for each in asked}

    turns, documents = asyncio.run(turns_meanwhile())
    assert len(documents) == 1
    # Made on the event loop, it leaves room for two or three.
    assert turns > 20


def operations(document: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    return [
        (path, method, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
        if method in {"get", "post", "put", "patch", "delete"}
    ]


def test_openapi_is_complete(api: RunningApi) -> None:
    with api.client("") as client:
        document = client.get("/openapi.json").json()
    assert document["openapi"].startswith("3.1")
    documented = {(path, method.upper()) for path, method, _ in operations(document)}
    assert documented == {
        (route.path_format, method) for route in routes() if route.include_in_schema for method in route.methods or ()
    }
    for path, method, operation in operations(document):
        where = f"{method} {path}"
        assert operation["summary"], where
        guarded = bool(operation["security"])
        assert guarded == (path not in PUBLIC_PATHS), where
        responses = operation["responses"]
        if path.startswith(PREFIX):
            assert set(responses) == {"200", "4XX", "5XX"}, where
            refusals = {each["content"]["application/json"]["schema"]["$ref"] for each in list(responses.values())[1:]}
            assert refusals == {"#/components/schemas/OpenAIError"}, where
            continue
        wanted = {"500", *({"401", "403", "422", "503"} if guarded else set()), *({"404"} if "{" in path else set())}
        wanted |= {"400", "413", "415"} if operation.get("requestBody") else set()
        wanted |= {"409"} if method == "post" else set()
        assert wanted <= set(responses), where
        for status, response in responses.items():
            assert response["description"], where
            if int(status) >= 400:
                assert list(response["content"]) == ["application/problem+json"], f"{where} {status}"
        if method == "post":
            assert "Idempotency-Key" in {parameter["name"] for parameter in operation["parameters"]}, where
    assert "HTTPValidationError" not in document["components"]["schemas"]
    assert document["components"]["securitySchemes"]["api_key"]["scheme"] == "bearer"


def test_capabilities_are_published_with_their_schemas(client: httpx.Client) -> None:
    page = client.get("/v1/capabilities").json()
    names = [capability["id"] for capability in page["data"]]
    assert {"knowledge.search", "knowledge.ingest", "probe.act"} <= set(names)
    assert names == sorted(names)
    for capability in page["data"]:
        assert client.get(f"/v1/capabilities/{capability['id']}").json() == capability
        assert capability["input_schema"]["type"] == "object"
        assert capability["output_schema"]["type"] == "object"
        for example in capability["examples"]:
            response = client.post("/v1/jobs", json={"capability": capability["id"], "input": example})
            assert response.status_code == 202, response.text
    unknown = client.get("/v1/capabilities/no.such")
    assert unknown.status_code == 404
    assert unknown.json()["code"] == "capability_not_found"


def test_answers_carry_safe_headers(client: httpx.Client) -> None:
    response = client.get("/v1/jobs")
    assert response.headers["x-content-type-options"] == "nosniff"
    assert response.headers["cache-control"] == "no-store"
    assert "server" not in response.headers


def test_generators_of_clients_find_names(api: RunningApi) -> None:
    with api.client("") as client:
        document = client.get("/openapi.json").json()
    ids = [operation["operationId"] for _, _, operation in operations(document)]
    assert len(ids) == len(set(ids))
    assert [name for name in ids if not re.fullmatch(r"[a-z]+(_[a-z]+){0,4}", name)] == []
    assert [name for name in document["components"]["schemas"] if not re.fullmatch(r"[A-Z][A-Za-z0-9]+", name)] == []
    used = {tag for _, _, operation in operations(document) for tag in operation["tags"]}
    assert used == {tag["name"] for tag in document["tags"] if tag["description"]}
    assert document["servers"]
    job = document["paths"]["/v1/jobs"]["post"]["responses"]["202"]["links"]
    assert {"read_job", "cancel_job", "read_cost", "give_feedback"} <= set(job)
    assert job["read_job"]["parameters"] == {"job_id": "$response.body#/id"}
    assert {"job.succeeded", "batch.completed", "budget.threshold"} <= set(document["webhooks"])


def test_head_is_get_without_a_body(api: RunningApi) -> None:
    with api.client() as client:
        job = client.post("/v1/jobs", json=NOOP).json()["id"]
        for path in ("/healthz", "/v1/jobs", f"/v1/jobs/{job}", "/v1/capabilities", "/openai/v1/models", "/docs"):
            got, head = client.get(path), client.head(path)
            assert (head.status_code, head.content) == (200, b""), path
            assert head.headers["content-length"] == got.headers["content-length"], path
        stream = client.head(f"/v1/jobs/{job}/events")
        assert (stream.status_code, stream.headers["content-type"]) == (200, "text/event-stream; charset=utf-8")
        assert client.head("/v1/jobs/job_none").status_code == 404
        assert client.head("/openai/v1/models/none").status_code == 404
        refused = client.head(f"/v1/jobs/{job}/cancel")
        assert (refused.status_code, refused.headers["allow"]) == (405, "POST")
        assert "HEAD" in client.put("/v1/jobs").headers["allow"]
    with api.client("") as stranger:
        assert stranger.head("/v1/jobs").status_code == 401
