"""Builds responses, and runs a POST once however often it is sent."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

from fastapi import Request, Response
from sqlalchemy.orm import Session

from api.deps import get_runtime
from api.routing import caller
from core.keys.idempotency import Answer, IdempotentRequest, answer_once, identify
from core.kit.errors import NotFound
from core.kit.ids import decode
from core.kit.json_values import dumps

_HEADERS = {"cache-control": "no-store", "x-content-type-options": "nosniff"}
JSON = "application/json"


def respond(body: bytes, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """A JSON response from serialized bytes."""
    return Response(body, status, {**_HEADERS, **(headers or {})}, JSON)


def respond_json(value: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """A JSON response."""
    return respond(dumps(value), status, headers)


def respond_file(body: bytes, media_type: str, name: str, headers: dict[str, str] | None = None) -> Response:
    """A response that a browser saves as a file called `name`."""
    disposition = {"content-disposition": f'attachment; filename="{name}"', "vary": "accept"}
    return Response(body, 200, {**_HEADERS, **disposition, **(headers or {})}, media_type)


def respond_answer(answer: Answer, headers: dict[str, str] | None = None) -> Response:
    """The response to a POST, marked when it replays an earlier one."""
    sent = dict(headers or {})
    if answer.location is not None:
        sent["location"] = answer.location
    if answer.is_replayed:
        sent["idempotent-replayed"] = "true"
    return respond(answer.body, answer.status, sent)


def parse_id(prefix: str, text: str, what: str) -> UUID:
    """The id in a path. Raises `NotFound` for text that cannot be an id."""
    try:
        return decode(prefix, text)
    except ValueError as error:
        raise NotFound(f"there is no such {what}; ids have the form {prefix}_…", code=f"{what}_not_found") from error


def identify_request(request: Request, body: bytes) -> IdempotentRequest | None:
    """The identity of a POST by its ``Idempotency-Key``; None without one. Raises `IdempotencyKeyInvalid`."""
    key = request.headers.get("idempotency-key")
    if key is None:
        return None
    target = request.scope["path"].encode() + b"?" + request.scope["query_string"]
    return identify(key, request.method.encode(), target, body)


def carry_out(request: Request, identity: IdempotentRequest | None, produce: Callable[[Session], Answer]) -> Answer:
    """Run `produce` in one transaction as the caller's organization, or replay the first response. Blocks.

    Raises what `produce` and `core.keys.idempotency.answer_once` raise; nothing is persisted then.
    """
    runtime, principal = get_runtime(request), caller(request)
    with runtime.database.tenant(principal.organization_id) as session:
        return answer_once(session, principal, identity, runtime.idempotency_ttl, lambda: produce(session))
