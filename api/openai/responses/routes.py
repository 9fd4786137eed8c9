"""``/openai/v1/responses``: a model or a capability as a job, which outlives the connection that requested it."""

from typing import Annotated, Any, Literal

from fastapi import Path, Query, Request, Response

from api.answers import respond_json
from api.deps import get_runtime
from api.jobs.submitting import check_input, find_manifest
from api.openai.document import ONCE, Deleted, ItemPage, OpenAIResponse, answers, dialect_router
from api.openai.errors import Refused, of_job, refuse
from api.openai.jobs import cancel_job, labels, resolve_model, submit, wait
from api.openai.responses.capabilities import input_for
from api.openai.responses.inline_files import take_out
from api.openai.responses.items import input_items
from api.openai.responses.reading import input_of
from api.openai.responses.references import look_up
from api.openai.responses.schemas import CreateResponse
from api.openai.responses.stored import CHAT, YES, Stored, load
from api.openai.responses.stream import ResponseStream
from api.openai.responses.wire import to_wire
from api.routing import caller, requires
from core.jobs.states import JobState
from core.kit.data_classes import DataClass
from pipelines.registry import manifests

router = dialect_router("/responses")

_EVENTS = "The events `response.created` up to `response.completed`."
ResponseId = Annotated[str, Path(description="The response's id: the job's, with another prefix.")]
Include = Annotated[list[str] | None, Query(alias="include", max_length=0)]


@router.post("", responses=answers(OpenAIResponse, stream=_EVENTS), openapi_extra=ONCE)
@requires("jobs:write")
async def create_response(request: Request, body: CreateResponse) -> Response:
    """Create a response: immediately, as events, or in the background."""
    stored = body.store is not False
    if body.background and not stored:
        raise refuse("store", "store: a background response is fetched later, so it must be stored")
    files = take_out(request, body) if body.model in manifests() else []
    capability, given, inherited_class = await _read(request, body)
    metadata = labels(
        body.metadata,
        body.safety_identifier or body.user,
        object="response",
        store=YES if stored else "false",
        background=YES if body.background else None,
        previous_response_id=body.previous_response_id,
        instructions=YES if body.instructions is not None and capability == CHAT else None,
    )
    job = await submit(request, capability, given, metadata, inherited_class, files=files)
    made = Stored(job, given, None)
    if body.stream:
        cancels = not body.background and "idempotency-key" not in request.headers
        return ResponseStream(request, made, starting_after=0, cancels=cancels)
    if body.background:
        return respond_json(to_wire(made))
    ended, result = await wait(request, job)
    if ended.is_terminal and result is None and ended.state is not JobState.CANCELLED:
        raise Refused(of_job(ended))
    return respond_json(to_wire(Stored(ended, given, result)))


async def _read(request: Request, body: CreateResponse) -> tuple[str, dict[str, Any], DataClass | None]:
    """The capability, its input, and the data class of the answer that the input continues."""
    principal = caller(request)
    if body.model in manifests():
        manifest = find_manifest(body.model, principal)
        given = input_for(manifest, body)
        check_input(manifest, given, ("body", "capability_input"))
        return manifest.id, given, None
    manifest = find_manifest(CHAT, principal)
    before = await _before(request, body.previous_response_id)
    classes = [] if before is None else [before.job.data_class]
    if not isinstance(body.input, str):
        body.input, of_references = await look_up(request, body.input)
        classes += of_references
    given = input_of(body, [] if before is None else before.conversation())
    check_input(manifest, given, ("body",))
    await resolve_model(request, CHAT, body.model)
    return CHAT, given, max(classes, key=lambda each: each.rank, default=None)


async def _before(request: Request, previous: str | None) -> Stored | None:
    if previous is None:
        return None
    param = "previous_response_id"
    try:
        found = await load(request, previous)
    except Refused as refused:
        raise refuse(param, refused.failure.message, code="previous_response_not_found") from None
    if found.result is None:
        raise refuse(param, f"{param}: {previous} has no answer to continue; it is {found.job.state}")
    return found


@router.get("/{response_id}", responses=answers(OpenAIResponse, stream=_EVENTS))
@requires("jobs:read")
async def read_response(  # noqa: PLR0917 - the framework passes them by name
    request: Request,
    response_id: ResponseId,
    stream: bool = False,
    starting_after: Annotated[int, Query(ge=0, le=10**18)] = 0,
    include: Include = None,  # noqa: ARG001 - refused when it holds anything
    include_obfuscation: bool = False,  # noqa: ARG001 - nothing is obfuscated
) -> Response:
    """A stored response, or as a stream its events: all of them, or those after one."""
    found = await load(request, response_id)
    if stream:
        return ResponseStream(request, found, starting_after=starting_after, cancels=False)
    return respond_json(to_wire(found))


@router.post("/{response_id}/cancel", responses=answers(OpenAIResponse))
@requires("jobs:write")
async def cancel_response(request: Request, response_id: ResponseId) -> Response:
    """Cancel a background response."""
    found = await load(request, response_id)
    if not found.is_background:
        raise refuse("response_id", "only a background response can be cancelled; for another, disconnect")
    runtime, principal = get_runtime(request), caller(request)
    await cancel_job(runtime, principal, found.job.id)
    return respond_json(to_wire(await load(request, response_id)))


@router.delete("/{response_id}", responses=answers(Deleted))
@requires("jobs:write")
async def delete_response(request: Request, response_id: ResponseId) -> Response:
    """Delete the input and the answer. The job's record and cost remain."""
    found = await load(request, response_id)
    if not found.job.is_terminal:
        raise refuse("response_id", "the response has not ended; cancel it first")
    await get_runtime(request).in_thread(_erase, request, found)
    return respond_json({"id": found.id, "object": "response", "deleted": True})


def _erase(request: Request, found: Stored) -> None:
    runtime, principal = get_runtime(request), caller(request)
    with runtime.database.tenant(principal.organization_id) as session:
        runtime.retention.erase(session, principal, runtime.blobs, found.job.id)


@router.get("/{response_id}/input_items", responses=answers(ItemPage))
@requires("jobs:read")
async def list_input_items(  # noqa: PLR0917 - the framework passes them by name
    request: Request,
    response_id: ResponseId,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    order: Literal["asc", "desc"] = "desc",
    after: Annotated[str | None, Query(max_length=200)] = None,
    include: Include = None,  # noqa: ARG001 - refused when it holds anything
) -> Response:
    """The input items, including the conversation that the response continues."""
    found = await load(request, response_id)
    items = input_items(found.tail, found.messages)
    if order == "desc":
        items.reverse()
    ids = [item["id"] for item in items]
    begin = ids.index(after) + 1 if after in ids else 0
    page = items[begin : begin + limit]
    return respond_json(
        {
            "object": "list",
            "data": page,
            "first_id": page[0]["id"] if page else None,
            "last_id": page[-1]["id"] if page else None,
            "has_more": begin + limit < len(items),
        }
    )
