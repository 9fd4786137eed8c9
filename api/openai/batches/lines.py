"""Lines of an uploaded file as lines of a batch."""

from collections.abc import Callable
from typing import Any, TypeVar

from fastapi import Request
from pydantic import BaseModel, Field, ValidationError

from api.bodies import parse_json
from api.jobs.submitting import check_input, find_manifest
from api.openai.chat.reading import input_of as chat_input
from api.openai.chat.schemas import CreateCompletion
from api.openai.embeddings import EMBED, CreateEmbeddings
from api.openai.embeddings import input_of as embedding_input
from api.openai.errors import Refused, of_problem, refuse
from api.openai.jobs import labels, resolve_here
from api.openai.parameters import Strict
from api.openai.responses.capabilities import input_for
from api.openai.responses.reading import input_of as response_input
from api.openai.responses.schemas import CreateResponse
from api.openai.responses.stored import CHAT, YES
from api.problem import field_problems, invalid
from api.routing import caller
from core.batches.records import CUSTOM_ID_MAX_CHARACTERS, BatchLine
from core.capability import Manifest
from core.kit.errors import WaybillError
from pipelines.registry import manifests

# One request validates the whole file before anything is accepted; larger files go to /v1/batches.
LINES_MAX = 5_000
ENDPOINTS = ("/v1/chat/completions", "/v1/embeddings", "/v1/responses")
_PARAM = "input_file_id"
_Model = TypeVar("_Model", bound=BaseModel)


class _Line(Strict):
    custom_id: str = Field(min_length=1, max_length=CUSTOM_ID_MAX_CHARACTERS)
    method: str
    url: str
    body: dict[str, Any]


class LineReader:
    """Reads the lines of one batch. Blocks: each model is looked up when it is first named."""

    def __init__(self, request: Request, endpoint: str) -> None:
        self._request = request
        self._endpoint = endpoint
        self._known: set[tuple[str, str]] = set()
        self._seen: set[str] = set()
        self._read: Callable[[dict[str, Any]], tuple[Manifest, dict[str, Any], dict[str, str]]] = {
            "/v1/chat/completions": self._chat,
            "/v1/embeddings": self._embedding,
            "/v1/responses": self._response,
        }[endpoint]

    def read_all(self, content: bytes) -> list[BatchLine]:
        """All lines. Raises `Refused` naming the first invalid one."""
        raw = [line for line in content.splitlines() if line.strip()]
        if not 1 <= len(raw) <= LINES_MAX:
            raise refuse(_PARAM, f"{_PARAM}: a file has 1 to {LINES_MAX} lines, this one {len(raw)}; see /v1/batches")
        return [self._line(number, line) for number, line in enumerate(raw, start=1)]

    def _line(self, number: int, raw: bytes) -> BatchLine:
        try:
            line = _validated(_Line, parse_json(raw))
            if (line.method, line.url) != ("POST", self._endpoint):
                raise refuse("url", f"url: every line of this batch must be a POST to {self._endpoint}")
            if line.custom_id in self._seen:
                raise refuse("custom_id", f"custom_id: {line.custom_id} is used twice")
            self._seen.add(line.custom_id)
            manifest, given, metadata = self._read(line.body)
            check_input(manifest, given)
        except Refused as refused:
            raise refuse(_PARAM, f"line {number}: {refused.failure.message}", code=refused.failure.code) from None
        except WaybillError as error:
            failure = of_problem(error.status, {"code": error.code, "detail": error.detail, **error.extra}, {})
            raise refuse(_PARAM, f"line {number}: {failure.message}", code=failure.code) from None
        return BatchLine(line.custom_id, manifest.id, given, metadata)

    def _chat(self, given: dict[str, Any]) -> tuple[Manifest, dict[str, Any], dict[str, str]]:
        body = _validated(CreateCompletion, given)
        _refuse_streams(body.stream)
        named = labels(body.metadata, body.safety_identifier or body.user, object="chat.completion")
        return self._model(CHAT, body.model), chat_input(body), named

    def _embedding(self, given: dict[str, Any]) -> tuple[Manifest, dict[str, Any], dict[str, str]]:
        body = _validated(CreateEmbeddings, given)
        wanted = "base64" if body.encoding_format == "base64" else None
        named = labels(None, body.user, object="embedding", encoding_format=wanted)
        return self._model(EMBED, body.model), embedding_input(body), named

    def _response(self, given: dict[str, Any]) -> tuple[Manifest, dict[str, Any], dict[str, str]]:
        body = _validated(CreateResponse, given)
        _refuse_streams(body.stream)
        for name in ("background", "previous_response_id"):
            if getattr(body, name):
                raise refuse(name, f"Unsupported parameter: '{name}' in a batch.", code="unsupported_parameter")
        is_capability = body.model in manifests()
        named = labels(
            body.metadata,
            body.safety_identifier or body.user,
            object="response",
            store=YES if body.store is not False else "false",
            instructions=YES if body.instructions is not None and not is_capability else None,
        )
        if is_capability:
            manifest = find_manifest(body.model, caller(self._request))
            return manifest, input_for(manifest, body), named
        return self._model(CHAT, body.model), response_input(body, []), named

    def _model(self, capability: str, name: str) -> Manifest:
        if (capability, name) not in self._known:
            resolve_here(self._request, capability, name)
            self._known.add((capability, name))
        return find_manifest(capability, caller(self._request))


def _refuse_streams(stream: bool | None) -> None:
    if stream:
        raise refuse("stream", "Unsupported parameter: 'stream' in a batch.", code="unsupported_parameter")


def _validated(model: type[_Model], given: Any) -> _Model:
    try:
        return model.model_validate(given)
    except ValidationError as error:
        raise invalid(field_problems(error.errors(include_input=False, include_url=False), ("body",))) from None
