"""``/v1/prices``: current, past and future prices, and new dated prices."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Annotated

import orjson
from fastapi import Query, Request, Response

from api import cursors
from api.answers import respond_json
from api.jobs.schemas import clamp
from api.openapi import IDEMPOTENCY_KEY, REPLAYED, problems
from api.prices.schemas import MODEL_MAX, PROVIDER_MAX, Price, PricePage, SetPrice, to_wire
from api.problem import invalid
from api.routing import caller, new_router, requires
from api.times import Moment
from api.work import Cursor, answer_once, per_page, read, respond_page
from core.keys.idempotency import Answer
from core.kit.json_values import dumps
from core.ledger.prices import service
from core.ledger.prices.records import NewPrice, PriceRecord

router = new_router("/v1/prices", "prices")

_CURSOR = "The `next_cursor` of the previous page."
_After = tuple[str, str, str, int]


@router.get(
    "",
    response_model=PricePage,
    summary="List prices",
    description=(
        "Lists the prices in force by provider, model and unit. The organization's own prices come before shared"
        " prices."
    ),
    responses={200: {"description": "A page of results."}, **problems()},
)
@requires("prices:read")
async def list_prices(  # noqa: PLR0917 - the framework passes them by name
    request: Request,
    provider: Annotated[str | None, Query(max_length=PROVIDER_MAX, description="Filter by provider.")] = None,
    model: Annotated[str | None, Query(max_length=MODEL_MAX, description="Filter by model.")] = None,
    at: Annotated[Moment | None, Query(description="In force at this time. Default: now.")] = None,
    limit: Annotated[int, per_page("Prices", 1000)] = 100,
    cursor: Annotated[str | None, Query(max_length=1000, description=_CURSOR)] = None,
) -> Response:
    """A page of effective prices."""
    after = None if cursor is None else decode_cursor(cursor)
    found = await read(
        request,
        lambda session, principal: service.list_effective(
            session,
            principal.organization_id,
            provider=provider,
            model=model,
            at=clamp(at),
            after=after,
            limit=limit + 1,
        ),
    )
    page = found[:limit]
    following = encode_cursor(page[-1]) if len(found) > limit else None
    return respond_json({"data": [to_wire(price) for price in page], "next_cursor": following})


@router.get(
    "/history",
    response_model=PricePage,
    summary="List a model's prices",
    responses={200: {"description": "Lists every price of a model, past and future, latest first."}, **problems()},
)
@requires("prices:read")
async def read_price_history(
    request: Request,
    provider: Annotated[str, Query(max_length=PROVIDER_MAX, description="The provider.", examples=["openai"])],
    model: Annotated[str, Query(max_length=MODEL_MAX, description="The model.", examples=["gpt-4o"])],
    limit: Annotated[int, per_page("Prices", 1000)] = 100,
    cursor: Cursor = None,
) -> Response:
    """A page of a model's history."""
    before = cursors.decode_given(cursor)
    found = await read(
        request,
        lambda session, principal: service.list_history(
            session, principal.organization_id, provider, model, before=before, limit=limit + 1
        ),
    )
    return respond_page(found, limit, to_wire)


@router.post(
    "",
    status_code=201,
    response_model=Price,
    summary="Set a price",
    description=(
        "Adds a dated price for the key's organization. Prices are never edited, so past charges do not"
        " change. The latest price whose start has passed is in force, within two seconds."
    ),
    responses={201: {"description": "The new price.", "headers": REPLAYED}, **problems(400, 408, 409, 413, 415)},
    openapi_extra={"parameters": [IDEMPOTENCY_KEY]},
)
@requires("prices:write")
async def set_price(request: Request, body: SetPrice) -> Response:
    """Add a price."""
    principal = caller(request)
    new = NewPrice(body.provider, body.model, body.unit, body.usd_per_unit, body.valid_from, body.above_input_tokens)
    return await answer_once(
        request,
        lambda session: Answer(201, dumps(to_wire(service.set_price(session, principal, new)))),
        await request.body(),
    )


def encode_cursor(price: PriceRecord) -> str:
    """The cursor of the page after `price`."""
    key = [price.provider, price.model, price.unit.value, price.above_input_tokens]
    return urlsafe_b64encode(dumps(key)).decode().rstrip("=")


def decode_cursor(cursor: str) -> _After:
    """The key behind `cursor`. Raises `Unprocessable` naming ``query.cursor``."""
    try:
        key = orjson.loads(urlsafe_b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4)))
        provider, model, unit, above = key
        if all(isinstance(text, str) and "\x00" not in text for text in (provider, model, unit)) and above in range(
            2**63
        ):
            return provider, model, unit, above
    except (ValueError, TypeError):
        pass
    message = "this is not a valid cursor; pass the next_cursor of the previous page unchanged"
    raise invalid([{"path": "query.cursor", "code": "invalid_cursor", "message": message}])
