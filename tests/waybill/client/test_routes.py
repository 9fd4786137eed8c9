"""Every method of every resource, called: both clients send the same, and no route of the API is out of reach."""

import asyncio
import inspect
import io
import re
import types
import typing
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from fastapi.routing import APIRoute

from api.routers import ROUTERS
from tests.waybill.client.scripted_api import Answer, Request, scripted_api
from tests.waybill.client.twins import done, taken
from waybill.client import AsyncWaybillClient, NotFound, WaybillClient
from waybill.client.models import Artifact

pytestmark = pytest.mark.own_database

# For operators and browsers; and what a client reaches only after an answer that this test does not give.
ELSEWHERE = {
    "GET /.well-known/jwks.json",
    "GET /healthz",
    "GET /readyz",
    "GET /metrics",
    "GET /docs",
    "GET /docs/{name}",
    "GET /openapi.json",
}
LATER = {
    "POST /v1/file-uploads",
    "PUT /v1/file-uploads/{upload_id}/part",
    "POST /v1/file-uploads/{upload_id}/complete",
}
ARTIFACT = Artifact(name="a", content_type="b", size_bytes=1, sha256="c", attempt=1, url="/v1/jobs/job_1/artifacts/a")


def example(annotation: Any, path: Path) -> Any:
    """A value of that type."""
    origin = typing.get_origin(annotation) or annotation
    if origin in {typing.Union, types.UnionType}:
        return example(typing.get_args(annotation)[0], path)
    if origin is typing.Literal:
        return typing.get_args(annotation)[0]
    values: dict[Any, Any] = {
        str: "text",
        int: 7,
        float: 0.5,
        bool: True,
        bytes: b"bytes",
        Any: {"any": 1},
        Decimal: Decimal("0.10"),
        datetime: datetime(2026, 11, 24, tzinfo=UTC),
        Sequence: ["one", "two"],
        tuple: ("one", "two"),
        Mapping: {"name": "value"},
        Path: path,
        typing.BinaryIO: io.BytesIO(b"content"),
        Artifact: ARTIFACT,
    }
    return values[origin]


def arguments(method: Any, path: Path, *, whole: bool) -> dict[str, Any]:
    hints = typing.get_type_hints(method)
    return {
        name: example(hints[name], path)
        for name, parameter in inspect.signature(method).parameters.items()
        if (whole or parameter.default is inspect.Parameter.empty) and not name.startswith(("on_", "give_up", "after"))
    }


async def called(method: Any, given: dict[str, Any]) -> None:
    result = await done(method(**given))
    await taken(result)


def sent_by(twin: type[WaybillClient] | type[AsyncWaybillClient], path: Path, *, whole: bool) -> dict[str, Request]:
    """What each method sent first, by `resource.method`."""
    sent: dict[str, Request] = {}

    async def call_all(client: Any, requests: list[Request]) -> None:
        for resource, value in vars(client).items():
            if not hasattr(value, "_transport"):
                continue
            for name, method in inspect.getmembers(value, inspect.ismethod):
                if name.startswith("_"):
                    continue
                requests.clear()
                with pytest.raises(NotFound):
                    await called(method, arguments(method, path, whole=whole))
                assert len(requests) == 1
                sent[f"{resource}.{name}"] = requests[0]

    with scripted_api(lambda *_: Answer(404, b"{}")) as api:

        async def whole_run() -> None:
            client: Any = twin(api.url, "wb_live_x", project="prj_1")
            await call_all(client, api.requests)
            await done(client.close())

        asyncio.run(whole_run())
    return sent


def plain(request: Request) -> tuple[object, ...]:
    headers = {name: value for name, value in request.headers.items() if name not in {"host", "idempotency-key"}}
    return request.method, request.path, headers, request.body


@pytest.mark.parametrize("whole", [False, True], ids=["required", "all"])
def test_both_clients_send_the_same(tmp_path: Path, whole: bool) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"content")
    plainly, awaited = (sent_by(twin, path, whole=whole) for twin in (WaybillClient, AsyncWaybillClient))
    assert plainly.keys() == awaited.keys()
    assert len(plainly) > 100
    for name, request in plainly.items():
        assert plain(request) == plain(awaited[name]), name
        assert request.headers["waybill-project"] == "prj_1"
        assert ("idempotency-key" in request.headers) is (request.method == "POST"), name


def test_no_route_is_out_of_reach(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"content")
    sent = {f"{each.method} {each.path.split('?')[0]}" for each in sent_by(WaybillClient, path, whole=False).values()}
    routes = {
        f"{method} {route.path}"
        for router in ROUTERS
        for route in router.routes
        # The dialect has a client of its own: OpenAI's.
        if isinstance(route, APIRoute) and not route.path.startswith("/openai/")
        for method in route.methods or ()
    }
    patterns = {route: re.compile(re.sub(r"\\{\w+\\}", "[^/]+", re.escape(route))) for route in routes}
    reached = {route for route, pattern in patterns.items() if any(pattern.fullmatch(each) for each in sent)}
    assert routes - reached == ELSEWHERE | LATER
    assert all(any(pattern.fullmatch(each) for pattern in patterns.values()) for each in sent)
