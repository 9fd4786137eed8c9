"""The results of a batch as OpenAI's output and error files, made from the jobs whenever they are read."""

from collections.abc import Callable, Iterator
from typing import Any
from uuid import UUID

from fastapi import Request

from api.deps import get_runtime
from api.openai.batches.wire import ERRORS, OUTPUT, is_ours
from api.openai.chat.wire import completion
from api.openai.embeddings import to_wire as embeddings
from api.openai.errors import Failure, of_job
from api.openai.jobs import LABELS
from api.openai.responses.stored import Stored
from api.openai.responses.wire import to_wire as response
from api.routing import caller
from core.batches.errors import BatchNotFound
from core.batches.records import BatchRecord, LineResult, LineState
from core.jobs.records import JobRecord
from core.kit.errors import NotFound
from core.kit.ids import JOB, decode, encode
from core.kit.json_values import dumps

_LINES_AT_ONCE = 100
_CODES = {LineState.CANCELLED: "batch_cancelled", LineState.EXPIRED: "batch_expired"}
_Body = Callable[[JobRecord, dict[str, Any] | None, dict[str, Any]], dict[str, Any]]


def batch_of(file_id: str) -> tuple[str, UUID] | None:
    """Which of a batch's files an id names; None for an ordinary file."""
    kind = file_id.partition("_")[0]
    if kind not in {OUTPUT, ERRORS}:
        return None
    try:
        return kind, decode(kind, file_id)
    except ValueError:
        return None


def load(request: Request, batch_id: UUID) -> BatchRecord:
    """A batch created through this dialect. Blocks. Raises `BatchNotFound`."""
    runtime, principal = get_runtime(request), caller(request)
    found = runtime.batches.get(runtime.database.single_tenant(principal.organization_id), principal, batch_id)
    if not is_ours(found):
        raise BatchNotFound("there is no such batch in this project")
    return found


def load_readable(request: Request, batch_id: UUID) -> BatchRecord:
    """Like `load`, for callers that read results. Raises `ClearanceExceeded` too."""
    runtime, principal = get_runtime(request), caller(request)
    found = load(request, batch_id)
    runtime.batches.require_readable(runtime.database.single_tenant(principal.organization_id), principal, found)
    return found


def file_of(request: Request, kind: str, batch_id: UUID) -> dict[str, Any]:
    """The file's record. Blocks: its size is found by writing it."""
    batch = load_readable(request, batch_id)
    size = sum(map(len, lines(request, kind, batch)))
    if not batch.has_ended or not size:
        raise NotFound("the batch has no such file", code="file_not_found")
    return {
        "id": encode(kind, batch.id),
        "object": "file",
        "bytes": size,
        "created_at": int((batch.finished_at or batch.created_at).timestamp()),
        "filename": f"{encode(kind, batch.id)}.jsonl",
        "purpose": "batch_output",
        "status": "processed",
    }


def lines(request: Request, kind: str, batch: BatchRecord) -> Iterator[bytes]:
    """The lines of the file `kind`, in chunks, as long as retention keeps them. Blocks."""
    runtime, principal = get_runtime(request), caller(request)
    single = runtime.database.single_tenant(principal.organization_id)
    body = _BODIES[batch.metadata[LABELS + "endpoint"]]
    after = 0
    while found := runtime.batches.results(single, principal, batch, after=after, limit=_LINES_AT_ONCE):
        after = found[-1].line
        wanted = [each for each in found if (each.state is LineState.SUCCEEDED) == (kind == OUTPUT)]
        yield b"".join(dumps(_line(request, each, body)) + b"\n" for each in wanted)


def _line(request: Request, each: LineResult, body: _Body) -> dict[str, Any]:
    runtime, principal = get_runtime(request), caller(request)
    answer: dict[str, Any] | None = None
    error: dict[str, Any] | None = None
    if each.job_id is not None and each.state in {LineState.SUCCEEDED, LineState.FAILED}:
        single = runtime.database.single_tenant(principal.organization_id)
        job, given, result = runtime.jobs.get_with_payloads(single, principal, each.job_id)
        request_id = encode(JOB, job.id)
        if result is not None:
            answer = {"status_code": 200, "request_id": request_id, "body": body(job, given, result)}
        else:
            failure = (
                of_job(job)
                if each.state is LineState.FAILED
                else Failure(410, "result_erased", "past its retention period")
            )
            response = failure.respond()
            answer = {"status_code": response.status_code, "request_id": request_id, "body": {"error": failure.body()}}
    else:
        reason = each.error or {}
        code = _CODES.get(each.state, str(reason.get("code", "failed")))
        error = {"code": code, "message": str(reason.get("message", "the line was not run"))}
    request_line = "batch_req" if each.job_id is None else f"batch_req_{encode(JOB, each.job_id).partition('_')[2]}"
    return {"id": request_line, "custom_id": each.custom_id, "response": answer, "error": error}


def _completion(job: JobRecord, _given: dict[str, Any] | None, result: dict[str, Any]) -> dict[str, Any]:
    return completion(job, result)


def _embeddings(job: JobRecord, _given: dict[str, Any] | None, result: dict[str, Any]) -> dict[str, Any]:
    return embeddings(job, result, as_bytes=job.metadata.get(LABELS + "encoding_format") == "base64")


def _response(job: JobRecord, given: dict[str, Any] | None, result: dict[str, Any]) -> dict[str, Any]:
    return response(Stored(job, given or {}, result))


_BODIES: dict[str, _Body] = {
    "/v1/chat/completions": _completion,
    "/v1/embeddings": _embeddings,
    "/v1/responses": _response,
}
