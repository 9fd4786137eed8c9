"""The two things that are written twice, here and in the other twin: to sleep, and to do what blocks."""

import asyncio
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


async def sleep(seconds: float) -> None:
    """Let `seconds` pass."""
    await asyncio.sleep(seconds)


async def blocking(call: Callable[..., T], *arguments: object) -> T:
    """What `call` returns, which reads or writes a file: in a thread, so that the event loop is not blocked."""
    return await asyncio.to_thread(call, *arguments)
