"""Limits how often an address may send a wrong key or token."""

from collections import OrderedDict
from collections.abc import Callable
from math import ceil
from time import monotonic

from core.kit.errors import RateLimited

_ADDRESSES_MAX = 10_000
_MINUTE_SECONDS = 60.0


class TooManyFailures(RateLimited):
    """Too many keys or tokens from this address were wrong."""

    default_code = "too_many_failed_authentications"


class FailedAuthentications:
    """Failures by address, in this process. Each is forgiven after a minute divided by `per_minute`.

    Belongs to one event loop. An address of None is not counted.
    """

    def __init__(self, per_minute: int, clock: Callable[[], float] = monotonic) -> None:
        self._per_minute = per_minute
        self._clock = clock
        # For each address its number of failures at a time, the most recent last.
        self._failures: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def require_room(self, address: str | None) -> None:
        """Raise `TooManyFailures` when `address` has reached its maximum."""
        if address is None or not self._per_minute:
            return
        surplus = self._count(address) + 1 - self._per_minute
        if surplus > 0:
            wait_seconds = ceil(surplus * _MINUTE_SECONDS / self._per_minute)
            raise TooManyFailures(
                f"too many wrong keys or tokens from this address; wait {wait_seconds} s",
                retry_after_seconds=wait_seconds,
            )

    def charge(self, address: str | None) -> None:
        """Count a failure, or an attempt in progress."""
        self._add(address, 1.0)

    def refund(self, address: str | None) -> None:
        """Take a `charge` back: the attempt did not fail."""
        self._add(address, -1.0)

    def _add(self, address: str | None, number: float) -> None:
        if address is None or not self._per_minute:
            return
        self._failures[address] = (max(0.0, self._count(address) + number), self._clock())
        self._failures.move_to_end(address)
        if len(self._failures) > _ADDRESSES_MAX:
            self._failures.popitem(last=False)

    def _count(self, address: str) -> float:
        number, at = self._failures.get(address, (0.0, 0.0))
        return max(0.0, number - (self._clock() - at) * self._per_minute / _MINUTE_SECONDS)
