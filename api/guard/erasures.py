"""``/v1/guard/erasures``: making pseudonyms of a value unreadable."""

from fastapi import Request, Response
from sqlalchemy.orm import Session

from api.answers import carry_out, identify_request, respond_answer
from api.deps import get_runtime
from api.guard.schemas import EraseValue, PseudonymErasure
from api.openapi import IDEMPOTENCY_KEY, REPLAYED, problems
from api.routing import caller, new_router, requires
from core.keys.idempotency import Answer, IdempotentRequest
from core.kit.json_values import dumps

router = new_router("/v1/guard/erasures", "guard")


@router.post(
    "",
    response_model=PseudonymErasure,
    summary="Erase a value behind pseudonyms",
    description=(
        "Tokens such as `<PERSON_1>` that stand for the value are turned back no more, in any job of the organization."
        " Texts that hold the value itself are not changed. The erasure is recorded; the value is not."
    ),
    responses={200: {"description": "What was erased.", "headers": REPLAYED}, **problems(400, 408, 409, 413, 415, 503)},
    openapi_extra={"parameters": [IDEMPOTENCY_KEY]},
)
@requires("guard:write", organization_wide=True)
async def erase_value(request: Request, body: EraseValue) -> Response:
    """Erase a value from the maps of all trees."""
    identity = identify_request(request, await request.body())
    return respond_answer(await get_runtime(request).in_thread(_erase, request, body, identity))


def _erase(request: Request, body: EraseValue, identity: IdempotentRequest | None) -> Answer:
    runtime, principal = get_runtime(request), caller(request)

    def produce(session: Session) -> Answer:
        erased = runtime.pseudonyms.erase(session, principal.organization_id, body.value, principal.actor)
        return Answer(200, dumps({"erased_pseudonyms": erased}))

    return carry_out(request, identity, produce)
