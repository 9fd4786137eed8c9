"""Every route of the application refuses the query parameters that it does not take, and none that it does."""

import re
from typing import Any

import httpx
from fastapi.routing import APIRoute

from api.console.routing import ConsoleRoute
from api.main import create_app
from api.openai.dialect import PREFIX
from api.parameters import QueryParameters
from core.kit.settings import Settings
from tests.factories.api import RunningApi


def routes() -> list[APIRoute]:
    """All but the console's, whose refusals are pages."""
    found = [route for route in create_app(Settings()).routes if isinstance(route, APIRoute)]
    return [route for route in found if not isinstance(route, ConsoleRoute)]


def written(known: str) -> str:
    return known.replace("[…]", "[ticket]")


def test_every_route_refuses_what_it_does_not_take_and_nothing_else(client: httpx.Client) -> None:
    seen = 0
    for route in routes():
        takes = QueryParameters(route).known
        for method in route.methods or ():
            path = re.sub(r"{[\w:]+}", "x", route.path)
            asked = {**{written(name): "x" for name in takes}, "surprise": "1", "lmit": "5"}
            answer = client.request(method, path, params=asked)
            seen += 1
            if path.startswith(PREFIX):
                error = answer.json()["error"]
                assert (answer.status_code, error["code"], error["param"]) == (400, "unsupported_parameter", "surprise")
                continue
            assert answer.status_code == 422, f"{method} {path}: {answer.text}"
            errors: list[dict[str, Any]] = answer.json()["errors"]
            assert [each["path"] for each in errors] == ["query.surprise", "query.lmit"], f"{method} {path}"
            assert {each["code"] for each in errors} == {"extra_forbidden"}
            assert all(name in errors[0]["message"] for name in takes)
    assert seen >= 100


def test_documented_parameters_are_taken(client: httpx.Client) -> None:
    document = client.get("/openapi.json").json()
    for route in routes():
        for method in route.methods or ():
            documented = document["paths"].get(route.path_format, {}).get(method.lower(), {}).get("parameters", [])
            names = {each["name"] for each in documented if each["in"] == "query"}
            assert names <= {name.removesuffix("[…]") for name in QueryParameters(route).known}, route.path


def test_labels_are_asked_for_in_both_forms(client: httpx.Client) -> None:
    for name in ("metadata[ticket]", "metadata.ticket", "metadata[a.b]"):
        assert client.get("/v1/jobs", params={name: "4711"}).status_code == 200, name
    for name in ("metadata", "metadatax", "metadata[ticket", "metadatas.ticket", "limit[]"):
        assert client.get("/v1/jobs", params={name: "4711"}).status_code == 422, name


def test_a_caller_without_a_key_learns_no_parameter(api: RunningApi) -> None:
    with api.client("") as stranger:
        answer = stranger.get("/v1/jobs", params={"surprise": "1"})
    assert answer.status_code == 401
    assert "cursor" not in answer.text
