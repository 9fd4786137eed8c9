"""How a route reaches the services: on a thread, as the caller's organization, and how it answers with a page."""

from collections.abc import Callable, Sequence
from operator import attrgetter
from typing import Annotated, Any, Concatenate, ParamSpec, TypeVar
from uuid import UUID

from fastapi import Query, Request, Response
from sqlalchemy.orm import Session

from api import cursors
from api.answers import carry_out, identify_request, respond_answer, respond_json
from api.deps import get_runtime
from api.routing import caller
from core.keys.idempotency import Answer
from core.keys.principal import Principal
from core.kit.db import SingleStatement

_Arguments = ParamSpec("_Arguments")
_Found = TypeVar("_Found")
PAGE_MAX = 200
Cursor = Annotated[str | None, Query(max_length=100, description="The `next_cursor` of the previous page.")]


def per_page(items: str, at_most: int = PAGE_MAX) -> Any:
    """The query parameter `limit` of a list of `items`."""
    return Query(ge=1, le=at_most, description=f"{items} per page.")


Limit = Annotated[int, per_page("Items")]


async def read(
    request: Request,
    query: Callable[Concatenate[SingleStatement, Principal, _Arguments], _Found],
    *arguments: _Arguments.args,
    **named: _Arguments.kwargs,
) -> _Found:
    """What a service's `query` finds for the caller. Each of its statements runs in a transaction of its own."""
    runtime, principal = get_runtime(request), caller(request)
    session = runtime.database.single_tenant(principal.organization_id)
    return await runtime.in_thread(query, session, principal, *arguments, **named)


async def change(
    request: Request,
    act: Callable[Concatenate[Session, Principal, _Arguments], _Found],
    *arguments: _Arguments.args,
    **named: _Arguments.kwargs,
) -> _Found:
    """The result of a service's `act` for the caller, in one transaction: when it raises, nothing is stored."""
    runtime, principal = get_runtime(request), caller(request)

    def in_transaction() -> _Found:
        with runtime.database.tenant(principal.organization_id) as session:
            return act(session, principal, *arguments, **named)

    return await runtime.in_thread(in_transaction)


async def answer_once(request: Request, produce: Callable[[Session], Answer], body: bytes = b"") -> Response:
    """The response of `produce`, in one transaction, or the first response to the same ``Idempotency-Key``.

    `body` is the request's, if its route takes one: a repeat with another body is refused.
    """
    identity = identify_request(request, body)
    return respond_answer(await get_runtime(request).in_thread(carry_out, request, identity, produce))


def respond_page(
    found: Sequence[Any],
    limit: int,
    to_wire: Callable[[Any], Any],
    last: Callable[[Any], UUID] = attrgetter("id"),
) -> Response:
    """A page of `limit` items. `found` has one more if another page follows, which starts after the `last` of this."""
    following = cursors.encode(last(found[limit - 1])) if len(found) > limit else None
    return respond_json({"data": [to_wire(each) for each in found[:limit]], "next_cursor": following})
