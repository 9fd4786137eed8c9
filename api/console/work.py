"""How a page reaches the services: on a thread, as the caller's organization."""

from collections.abc import Callable
from typing import TypeVar

from fastapi import Request
from sqlalchemy.orm import Session

from api.console.routing import current
from api.deps import Runtime, get_runtime
from core.keys.principal import Principal
from core.kit.db import SingleStatement

_Found = TypeVar("_Found")


async def read(request: Request, query: Callable[[Runtime, SingleStatement, Principal], _Found]) -> _Found:
    """The result of `query`, whose statements each run in a transaction of their own."""
    runtime, principal = get_runtime(request), current(request).principal
    return await runtime.in_thread(query, runtime, runtime.database.single_tenant(principal.organization_id), principal)


async def change(request: Request, act: Callable[[Runtime, Session, Principal], _Found]) -> _Found:
    """The result of `act`, in one transaction: when it raises, nothing is stored."""
    runtime, principal = get_runtime(request), current(request).principal

    def carry_out() -> _Found:
        with runtime.database.tenant(principal.organization_id) as session:
            return act(runtime, session, principal)

    return await runtime.in_thread(carry_out)
