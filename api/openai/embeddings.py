"""``/openai/v1/embeddings``: vectors of a gateway model, as a job of `models.embed`."""

import base64
import struct
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from fastapi import Request, Response
from pydantic import Field, StringConstraints

from api.answers import respond_json
from api.jobs.submitting import check_input, find_manifest
from api.openai.document import ONCE, EmbeddingList, answers, dialect_router
from api.openai.errors import refuse
from api.openai.jobs import finish, labels, resolve_model, submit
from api.openai.parameters import ModelName, Strict, Text512
from api.routing import caller, requires
from core.jobs.records import JobRecord
from pipelines.models.schemas import TEXTS_MAX

EMBED = "models.embed"
router = dialect_router("/embeddings")
_Text = Annotated[str, StringConstraints(min_length=1)]


class CreateEmbeddings(Strict):
    """The body."""

    model: ModelName
    # Token ids are read only to explain the error: they belong to one model.
    input: _Text | Annotated[list[_Text] | list[int] | list[list[int]], Field(min_length=1, max_length=TEXTS_MAX)]
    dimensions: Annotated[int, Field(ge=1, le=65_536)] | None = None
    encoding_format: Literal["float", "base64"] | None = None
    user: Text512 | None = None


@router.post("", responses=answers(EmbeddingList), openapi_extra=ONCE)
@requires("jobs:write")
async def create_embeddings(request: Request, body: CreateEmbeddings) -> Response:
    """Embed texts."""
    manifest = find_manifest(EMBED, caller(request))
    given = input_of(body)
    check_input(manifest, given, ("body",))
    await resolve_model(request, EMBED, body.model)
    job = await submit(request, EMBED, given, labels(None, body.user, object="embedding"))
    ended, result = await finish(request, job)
    return respond_json(to_wire(ended, result, as_bytes=body.encoding_format == "base64"))


def input_of(body: CreateEmbeddings) -> dict[str, Any]:
    """The input of `models.embed`. Raises `Refused` for token ids."""
    texts = [body.input] if isinstance(body.input, str) else body.input
    if not all(isinstance(text, str) for text in texts):
        raise refuse(
            "input", ("input: send texts; token ids are not supported (LangChain: check_embedding_ctx_length=False)")
        )
    return {"model": body.model, "texts": texts, **({"dimensions": body.dimensions} if body.dimensions else {})}


def to_wire(job: JobRecord, result: Mapping[str, Any], *, as_bytes: bool) -> dict[str, Any]:
    """The list of vectors: as base64 of 32-bit floats, or as numbers."""
    tokens = sum(line["input_tokens"] for line in job.usage)
    read = str if as_bytes else _floats
    data = [
        {"object": "embedding", "index": number, "embedding": read(vector)}
        for number, vector in enumerate(result["vectors"])
    ]
    used = {"prompt_tokens": tokens, "total_tokens": tokens}
    return {"object": "list", "data": data, "model": result["model"], "usage": used}


def _floats(vector: str) -> list[float]:
    return [value for (value,) in struct.iter_unpack("<f", base64.b64decode(vector))]
