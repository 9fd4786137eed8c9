"""``/v1/prompts``: immutable versions of prompts, and which of them are in force."""

from typing import Annotated

from fastapi import Path, Query, Request, Response
from sqlalchemy.orm import Session

from api import cursors
from api.answers import carry_out, identify_request, parse_id, respond_answer, respond_json
from api.deps import get_runtime
from api.openapi import IDEMPOTENCY_KEY, created, problems
from api.problem import invalid
from api.prompts.schemas import AddPrompt, Prompt, PromptPage, to_wire
from api.routing import caller, new_router, require_scope, requires
from api.work import Cursor, per_page, read, respond_page
from core.keys.idempotency import Answer, IdempotentRequest
from core.kit.ids import PROMPT, encode
from core.kit.json_values import dumps
from core.registry.prompts import service
from core.registry.records import Owner

router = new_router("/v1/prompts", "models")

_PROMOTE = "models:promote"
PromptId = Annotated[str, Path(description="The version's id.", examples=["prm_01jd3q8v9tfq8a1b2c3d4e5f6g"])]


@router.post(
    "",
    status_code=201,
    response_model=Prompt,
    summary="Add a version of a prompt",
    description=(
        "Without `activate`, the version is used only where a model's `prompt_set` or an experiment names"
        " it. If the text is the latest version already, no new version is created."
    ),
    responses={
        **created("The version.", "The version."),
        **problems(400, 404, 408, 409, 413, 415),
    },
    openapi_extra={"parameters": [IDEMPOTENCY_KEY]},
)
@requires("models:write", organization_wide=True)
async def add_prompt(request: Request, body: AddPrompt) -> Response:
    """Add a version of a prompt."""
    if (body.text is None) == (body.digest is None) or (body.digest is not None and not body.activate):
        message = "send the text of a new version, or the digest of an earlier version with activate"
        raise invalid([{"path": "body.text", "code": "prompt_invalid", "message": message}])
    if body.activate:
        require_scope(caller(request), _PROMOTE)
    identity = identify_request(request, await request.body())
    return respond_answer(await get_runtime(request).in_thread(_add, request, body, identity))


def _add(request: Request, body: AddPrompt, identity: IdempotentRequest | None) -> Answer:
    owner = Owner.of(caller(request))

    def produce(session: Session) -> Answer:
        if body.digest is not None:
            made = service.enforce(session, owner, body.name, body.digest)
        else:
            made = service.add(session, owner, body.name, body.text or "", takes_force=body.activate)
        return Answer(201, dumps(to_wire(made)), f"/v1/prompts/{encode(PROMPT, made.id)}")

    return carry_out(request, identity, produce)


@router.get(
    "",
    response_model=PromptPage,
    summary="List prompts",
    responses={
        200: {"description": "Lists the versions of the organization and the shared versions, newest first."},
        **problems(),
    },
)
@requires("models:read", organization_wide=True)
async def list_prompts(
    request: Request,
    name: Annotated[str | None, Query(max_length=129, description="Filter by prompt.")] = None,
    limit: Annotated[int, per_page("Versions")] = 50,
    cursor: Cursor = None,
) -> Response:
    """A page of prompts."""
    before = cursors.decode_given(cursor)
    found = await read(
        request,
        lambda session, principal: service.list_prompts(
            session, principal.organization_id, name=name, cursor=before, limit=limit + 1
        ),
    )
    return respond_page(found, limit, to_wire)


@router.get(
    "/{prompt_id}",
    response_model=Prompt,
    summary="Read a version of a prompt",
    responses={200: {"description": "The version."}, **problems(404)},
)
@requires("models:read", organization_wide=True)
async def read_prompt(request: Request, prompt_id: PromptId) -> Response:
    """Read a version."""
    found = parse_id(PROMPT, prompt_id, "prompt")
    shown = await read(request, lambda session, principal: service.get(session, principal.organization_id, found))
    return respond_json(to_wire(shown))
