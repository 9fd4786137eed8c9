"""``/v1/webhook-secret``: the project's own secret, which signs messages to webhooks that jobs name."""

from datetime import timedelta
from typing import Annotated

from fastapi import Body, Request, Response

from api.answers import identify_request, respond_answer, respond_json
from api.deps import get_runtime
from api.openapi import IDEMPOTENCY_KEY, REPLAYED, problems
from api.routing import caller, new_router, requires
from api.webhook_endpoints.issuing import issue_once
from api.webhook_endpoints.schemas import RotateSecret, WebhookSecret, WebhookSecretShown, secret_to_wire
from api.work import read
from core.keys.idempotency import Answer

router = new_router("/v1/webhook-secret", "webhooks")


@router.get(
    "",
    response_model=WebhookSecret,
    summary="Read the project's webhook secret",
    responses={200: {"description": "Returns when the secret was created, never the secret itself."}, **problems()},
)
@requires("webhooks:read")
async def read_secret(request: Request) -> Response:
    """The secret's dates."""
    shown = await read(request, get_runtime(request).webhooks.project_secret)
    return respond_json(secret_to_wire(shown))


@router.post(
    "/rotate",
    response_model=WebhookSecretShown,
    summary="Create or rotate the project's webhook secret",
    description=(
        "The secret signs messages to webhooks that a job names (`webhook` in `POST /v1/jobs`). It is shown once."
    ),
    responses={200: {"description": "The new secret.", "headers": REPLAYED}, **problems(400, 408, 409, 413, 415)},
    openapi_extra={"parameters": [IDEMPOTENCY_KEY]},
)
@requires("webhooks:write")
async def rotate_secret(request: Request, body: Annotated[RotateSecret | None, Body()] = None) -> Response:
    """Create or rotate the secret."""
    runtime, principal = get_runtime(request), caller(request)
    overlap = timedelta(seconds=(body or RotateSecret()).overlap_seconds)
    identity = identify_request(request, await request.body())

    def rotate() -> Answer:
        return issue_once(
            request, identity, lambda session: runtime.webhooks.rotate_project_secret(session, principal, overlap), 200
        )

    return respond_answer(await runtime.in_thread(rotate))
