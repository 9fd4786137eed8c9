"""``/v1/guard/erasures``: make the pseudonyms of a value irreversible."""

from fastapi import Request, Response
from sqlalchemy.orm import Session

from api.deps import get_runtime
from api.guard.schemas import EraseValue, PseudonymErasure
from api.openapi import IDEMPOTENCY_KEY, REPLAYED, problems
from api.routing import caller, new_router, requires
from api.work import answer_once
from core.keys.idempotency import Answer
from core.kit.json_values import dumps

router = new_router("/v1/guard/erasures", "guard")


@router.post(
    "",
    response_model=PseudonymErasure,
    summary="Erase a pseudonymized value",
    description=(
        "Tokens such as `<PERSON_1>` that stand for the value can no longer be reversed, in any job of the"
        " organization. Texts that contain the value itself are not changed. The erasure is recorded without"
        " the value."
    ),
    responses={
        200: {"description": "The result of the erasure.", "headers": REPLAYED},
        **problems(400, 408, 409, 413, 415, 503),
    },
    openapi_extra={"parameters": [IDEMPOTENCY_KEY]},
)
@requires("guard:write", organization_wide=True)
async def erase_value(request: Request, body: EraseValue) -> Response:
    """Erase a value from the pseudonym maps of all job trees."""
    runtime, principal = get_runtime(request), caller(request)

    def produce(session: Session) -> Answer:
        erased = runtime.pseudonyms.erase(session, principal.organization_id, body.value, principal.actor)
        return Answer(200, dumps({"erased_pseudonyms": erased}))

    return await answer_once(request, produce, await request.body())
