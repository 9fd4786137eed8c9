"""``/v1/prices``: list, history, new dated prices."""

from datetime import UTC, datetime, timedelta
from typing import get_args
from uuid import uuid4

import httpx
import pytest

from core.kit.db import Database
from core.ledger.prices.records import DEPLOYED_PROVIDERS
from core.ledger.prices.seed import seed_prices
from core.registry.deployments import _Entry
from tests.api.test_bad_input import paths, problem
from tests.factories.api import RunningApi, issue_key
from workers.metering import LOCAL

pytestmark = pytest.mark.own_database

PRICE = {"provider": "azure", "model": "our-deployment", "unit": "output_tokens", "usd_per_unit": "0.000009"}


def in_days(days: int) -> str:
    return (datetime.now(UTC) + timedelta(days=days)).isoformat()


def test_a_price_is_set_listed_and_superseded(client: httpx.Client) -> None:
    made = client.post("/v1/prices", json=PRICE)
    assert made.status_code == 201, made.text
    price = made.json()
    assert price["id"].startswith("prc_")
    assert (price["usd_per_unit"], price["source"], price["applies_to"]) == ("0.000009", "operator", "organization")

    later = client.post("/v1/prices", json={**PRICE, "usd_per_unit": "0.000008", "valid_from": in_days(1)}).json()
    query = {"provider": "azure", "model": "our-deployment"}
    assert client.get("/v1/prices", params=query).json() == {"data": [price], "next_cursor": None}
    assert client.get("/v1/prices", params={**query, "at": in_days(2)}).json()["data"] == [later]
    assert client.get("/v1/prices", params={**query, "at": in_days(-1)}).json()["data"] == []
    assert client.get("/v1/prices/history", params=query).json()["data"] == [later, price]


def test_the_same_idempotency_key_sets_one_price(client: httpx.Client) -> None:
    body, headers = {**PRICE, "model": "once"}, {"Idempotency-Key": str(uuid4())}
    first, again = (client.post("/v1/prices", json=body, headers=headers) for _ in range(2))
    assert first.json() == again.json()
    assert again.headers["idempotent-replayed"] == "true"
    history = client.get("/v1/prices/history", params={"provider": "azure", "model": "once"}).json()
    assert len(history["data"]) == 1


def test_lists_come_in_pages(api: RunningApi, client: httpx.Client) -> None:
    database = Database(api.settings, application_name="test", pool_size=1)
    with database.system() as session:
        seed_prices(session)
    database.close()
    for route, query in (("/v1/prices", {"provider": "openai"}), ("/v1/prices/history", None)):
        params = query or {"provider": "openai", "model": "gpt-4o"}
        limit = 60 if query else 1
        ids: list[str] = []
        cursor = None
        while True:
            given: dict[str, str | int] = {**params, "limit": limit, **({"cursor": cursor} if cursor else {})}
            page = client.get(route, params=given).json()
            ids.extend(price["id"] for price in page["data"])
            cursor = page["next_cursor"]
            if cursor is None:
                break
        whole = client.get(route, params={**params, "limit": 1000}).json()["data"]
        assert ids == [price["id"] for price in whole][: len(ids)]
        assert len(set(ids)) == len(ids) >= min(len(whole), 3)


def test_another_organisation_sees_none_of_it(api: RunningApi, client: httpx.Client) -> None:
    assert client.post("/v1/prices", json={**PRICE, "model": "secret"}).status_code == 201
    with api.client(issue_key(api.settings, organization="rival")) as rival:
        query = {"provider": "azure", "model": "secret"}
        for route in ("/v1/prices", "/v1/prices/history"):
            assert rival.get(route, params=query).json()["data"] == []


def test_reading_and_writing_need_their_scopes(api: RunningApi) -> None:
    with api.client(issue_key(api.settings, scopes=("prices:read",))) as reader:
        assert reader.get("/v1/prices").status_code == 200
        assert problem(reader.post("/v1/prices", json=PRICE), 403, "scope_missing")["scope"] == "prices:write"
    with api.client(issue_key(api.settings, scopes=("costs:read",))) as stranger:
        problem(stranger.get("/v1/prices"), 403, "scope_missing")


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"usd_per_unit": 0.1}, "body.usd_per_unit"),
        ({"usd_per_unit": "-1"}, "body.usd_per_unit"),
        ({"usd_per_unit": "1e-6"}, "body.usd_per_unit"),
        ({"usd_per_unit": "0.0000000000000001"}, "body.usd_per_unit"),
        ({"usd_per_unit": "1234567890"}, "body.usd_per_unit"),
        ({"unit": "bananas"}, "body.unit"),
        ({"model": ""}, "body.model"),
        ({"model": "x" * 201}, "body.model"),
        ({"provider": " padded"}, "body.provider"),
        ({"valid_from": "tomorrow"}, "body.valid_from"),
        ({"valid_from": "1969-01-01T00:00:00Z"}, "body.valid_from"),
        ({"above_input_tokens": -1}, "body.above_input_tokens"),
        ({"surprise": 1}, "body.surprise"),
    ],
)
def test_a_bad_price_names_its_field(client: httpx.Client, change: dict[str, object], path: str) -> None:
    assert paths(problem(client.post("/v1/prices", json={**PRICE, **change}), 422, "validation_error")) == [path]


@pytest.mark.parametrize(
    ("route", "query", "path"),
    [
        ("/v1/prices", {"cursor": "?"}, "query.cursor"),
        ("/v1/prices", {"cursor": "WzEsMiwzLDRd"}, "query.cursor"),
        ("/v1/prices", {"at": "yesterday"}, "query.at"),
        ("/v1/prices", {"limit": "0"}, "query.limit"),
        ("/v1/prices/history", {"provider": "x"}, "query.model"),
    ],
)
def test_a_bad_query_names_its_field(client: httpx.Client, route: str, query: dict[str, str], path: str) -> None:
    assert paths(problem(client.get(route, params=query), 422, "validation_error")) == [path]


@pytest.mark.parametrize(("provider", "meant"), [("opnai", "openai"), ("OpenAI", "openai"), ("my-llm-shop", None)])
def test_a_price_for_a_provider_that_no_one_has_is_refused_with_those_there_are(
    client: httpx.Client, provider: str, meant: str | None
) -> None:
    refused = client.post("/v1/prices", json={**PRICE, "provider": provider})
    problem(refused, 422, "validation_error")
    [wrong] = refused.json()["errors"]
    assert (wrong["path"], wrong["code"]) == ("body.provider", "provider_unknown")
    for known in ("anthropic", "azure", "local", "openai", "openai-compatible"):
        assert f" {known}" in wrong["message"]
    assert ("did you mean" in wrong["message"]) is (meant is not None)
    assert meant is None or f"did you mean {meant}?" in wrong["message"]
    assert client.get("/v1/prices", params={"provider": provider}).json()["data"] == []


def test_a_price_for_whom_a_model_names_is_taken(client: httpx.Client) -> None:
    model = client.post("/v1/models", json={"name": "shop-model"}).json()["id"]
    version = {
        "deployment": "local/extractive",
        "provider_model": "local/extractive",
        "context_window": 4096,
        "price_provider": "corner-shop",
    }
    client.post(f"/v1/models/{model}/versions", json=version).raise_for_status()
    assert client.post("/v1/prices", json={**PRICE, "provider": "corner-shop"}).status_code == 201


def test_what_a_deployment_may_be_of_has_a_price_provider() -> None:
    kinds = get_args(_Entry.model_fields["provider"].annotation)
    assert set(DEPLOYED_PROVIDERS) == {*kinds, LOCAL}
