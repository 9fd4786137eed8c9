"""``POST /v1/quotes``: the probable cost of a job, before it is submitted."""

from typing import Any

from fastapi import Request, Response

from api.answers import identify_request, respond_json
from api.deps import get_runtime
from api.jobs.submitting import check_input, find_manifest
from api.openapi import IDEMPOTENCY_KEY, problems
from api.quotes.schemas import AskQuote, Quote, to_quote
from api.routing import caller, new_router, requires
from core.forecasts.quotes import quote
from core.keys import authority
from core.kit.json_values import dumps
from core.rollups.collect import size_band

router = new_router("/v1/quotes", "costs")


@router.post(
    "",
    response_model=Quote,
    summary="Quote a job",
    description=(
        "Estimates the cost of a job with this input from the cost of similar jobs, using roll-ups. Nothing"
        " is submitted, reserved or stored."
    ),
    responses={200: {"description": "The quote."}, **problems(400, 408, 409, 413, 415)},
    openapi_extra={"parameters": [IDEMPOTENCY_KEY]},
)
@requires("jobs:write")
async def make_quote(request: Request, body: AskQuote) -> Response:
    """A quote."""
    # Running it again gives the same result, so an Idempotency-Key changes nothing.
    identify_request(request, b"")
    return respond_json(await quote_for(request, body))


async def quote_for(request: Request, body: AskQuote) -> dict[str, Any]:
    """The members of `Quote`. Raises what submitting such a job would raise for its capability and input."""
    runtime, principal = get_runtime(request), caller(request)
    manifest = find_manifest(body.capability, principal)
    authority.require(principal, manifest.id, check_input(manifest, body.input))
    size_bytes = len(dumps(body.input))
    found = await runtime.in_thread(
        lambda: quote(
            runtime.database.single_tenant(principal.organization_id),
            principal,
            capability=manifest.id,
            band=size_band(size_bytes),
            model=body.model,
            max_cost_usd=body.max_cost_usd,
        )
    )
    return to_quote(manifest.id, size_bytes, found)
