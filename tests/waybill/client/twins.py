"""One scenario for both clients: awaits what has to be awaited, and takes from either kind of iterator."""

import inspect
from collections.abc import AsyncIterable
from typing import Any

import pytest

from waybill.client import AsyncWaybillClient, WaybillClient

TWINS = (WaybillClient, AsyncWaybillClient)
both = pytest.mark.parametrize("twin", TWINS, ids=["sync", "async"])


async def done(value: Any) -> Any:
    """What a method of either client returns."""
    return await value if inspect.isawaitable(value) else value


async def taken(values: Any, *, most: int | None = None) -> list[Any]:
    """What either client's iterator yields, `most` at most."""
    found: list[Any] = []
    if isinstance(values, AsyncIterable):
        async for value in values:
            found.append(value)
            if len(found) == most:
                break
    else:
        for value in values:
            found.append(value)
            if len(found) == most:
                break
    return found
