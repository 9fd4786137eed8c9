"""``/openai/v1/completions``: a prompt as the only message of a conversation, answered in the older format."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from fastapi import Request, Response
from pydantic import Field, StringConstraints

from api.answers import respond_json
from api.jobs.submitting import check_input, find_manifest
from api.openai.chat.reading import asked_of
from api.openai.chat.routes import CHAT
from api.openai.chat.schemas import Stop, StreamOptions
from api.openai.chat.stream import CompletionStream
from api.openai.chat.wire import answers, completion_id, finish_reason, ours, usage
from api.openai.document import ONCE, TextCompletion, dialect_router
from api.openai.document import answers as described
from api.openai.jobs import finish, labels, resolve_model, submit
from api.openai.parameters import Common, OutputTokens, options_of
from api.openai.streams import sse
from api.routing import caller, requires
from core.jobs.records import JobRecord
from pipelines.models.schemas import CHOICES_MAX

router = dialect_router("/completions")
_Text = Annotated[str, StringConstraints(min_length=1)]


class CreateTextCompletion(Common):
    """The body. Options that need a model without conversations are accepted only with their neutral value."""

    prompt: _Text | Annotated[list[_Text], Field(min_length=1, max_length=1)]
    max_tokens: OutputTokens | None = None
    stop: Stop | list[Stop] | None = None
    stream_options: StreamOptions | None = None
    n: Annotated[int, Field(ge=1, le=CHOICES_MAX)] | None = None
    echo: Literal[False] | None = None
    best_of: Literal[1] | None = None
    suffix: Literal[""] | None = None


@router.post("", responses=described(TextCompletion, stream="Chunks, up to `[DONE]`."), openapi_extra=ONCE)
@requires("jobs:write")
async def create_text_completion(request: Request, body: CreateTextCompletion) -> Response:
    """Create a text completion, whole or in chunks."""
    manifest = find_manifest(CHAT, caller(request))
    given = _input_of(body)
    check_input(manifest, given, ("body",))
    model = await resolve_model(request, CHAT, body.model)
    metadata = labels(body.metadata, body.safety_identifier or body.user, object="text_completion")
    job = await submit(request, CHAT, given, metadata)
    if body.stream:
        return TextCompletionStream(
            request,
            job,
            model.model,
            include_usage=bool(body.stream_options and body.stream_options.include_usage),
            cancels="idempotency-key" not in request.headers,
        )
    ended, result = await finish(request, job)
    choices = [_choice(answer["text"], number, finish_reason(answer)) for number, answer in enumerate(answers(result))]
    return respond_json(
        _completion(ended, result["model"], choices, usage=usage(result["usage"]), **ours(ended, result))
    )


class TextCompletionStream(CompletionStream):
    """``text_completion`` events up to ``[DONE]``, or to an error."""

    def to_event(self, choices: list[dict[str, Any]], **more: Any) -> bytes:
        """See `CompletionStream.to_event`."""
        shown = [
            _choice(each["delta"].get("content") or "", each["index"], each["finish_reason"])
            for each in choices
            if each["delta"].get("content") or each["finish_reason"]
        ]
        return sse(_completion(self.job, self.model, shown, **more)) if shown or not choices else b""


def _input_of(body: CreateTextCompletion) -> dict[str, Any]:
    prompt = body.prompt if isinstance(body.prompt, str) else body.prompt[0]
    messages = [{"role": "user", "content": prompt}]
    asked = asked_of(body, body.max_tokens, body.stop, body.n)
    return {"model": body.model, "messages": messages, **asked, **options_of(body)}


def _choice(text: str, index: int, reason: str | None) -> dict[str, Any]:
    return {"text": text, "index": index, "logprobs": None, "finish_reason": reason}


def _completion(job: JobRecord, model: str, choices: list[dict[str, Any]], **more: Any) -> Mapping[str, Any]:
    return {
        "id": completion_id(job).replace("chatcmpl", "cmpl"),
        "object": "text_completion",
        "created": int(job.created_at.timestamp()),
        "model": model,
        "choices": choices,
        **more,
    }
