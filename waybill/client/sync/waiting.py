"""The two things that are written twice, here and in the other twin: to sleep, and to do what blocks."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def sleep(seconds: float) -> None:
    """Let `seconds` pass."""
    time.sleep(seconds)


def blocking(call: Callable[..., T], *arguments: object) -> T:
    """What `call` returns."""
    return call(*arguments)
