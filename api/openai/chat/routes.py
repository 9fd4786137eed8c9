"""``/openai/v1/chat/completions``: one call of a gateway model, as a job of `models.chat`."""

from fastapi import Request, Response

from api.answers import respond_json
from api.jobs.submitting import check_input, find_manifest
from api.openai.chat.reading import input_of
from api.openai.chat.schemas import CreateCompletion
from api.openai.chat.stream import CompletionStream
from api.openai.chat.wire import completion
from api.openai.document import ONCE, ChatCompletion, answers, dialect_router
from api.openai.jobs import finish, labels, resolve_model, submit
from api.routing import caller, requires

CHAT = "models.chat"
router = dialect_router("/chat/completions")


@router.post("", responses=answers(ChatCompletion, stream="Chunks, up to `[DONE]`."), openapi_extra=ONCE)
@requires("jobs:write")
async def create_completion(request: Request, body: CreateCompletion) -> Response:
    """Create a chat completion, whole or in chunks."""
    manifest = find_manifest(CHAT, caller(request))
    given = input_of(body)
    check_input(manifest, given, ("body",))
    model = await resolve_model(request, CHAT, body.model)
    metadata = labels(body.metadata, body.safety_identifier or body.user, object="chat.completion")
    job = await submit(request, CHAT, given, metadata)
    if body.stream:
        options = body.stream_options
        return CompletionStream(
            request,
            job,
            model.model,
            include_usage=bool(options and options.include_usage),
            cancels="idempotency-key" not in request.headers,
        )
    ended, result = await finish(request, job)
    return respond_json(completion(ended, result))
