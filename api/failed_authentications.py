"""How often an address may come with a wrong key or token, so that guessing costs the guesser, and nobody else."""

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
    """Failures by address, in this process: each takes a minute's `per_minute`-th part to be forgiven.

    Belongs to one event loop. None as an address stands for one that is not counted.
    """

    def __init__(self, per_minute: int, clock: Callable[[], float] = monotonic) -> None:
        self._per_minute = per_minute
        self._clock = clock
        # For each address its number of failures at a moment, the most recent last.
        self._failures: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def require_room(self, address: str | None) -> None:
        """Raise `TooManyFailures` when `address` has had as many as it may."""
        if address is None or not self._per_minute:
            return
        surplus = self._count(address) + 1 - self._per_minute
        if surplus > 0:
            wait_seconds = ceil(surplus * _MINUTE_SECONDS / self._per_minute)
            raise TooManyFailures(
                f"too many keys or tokens from this address were wrong; wait {wait_seconds} s",
                retry_after_seconds=wait_seconds,
            )

    def charge(self, address: str | None) -> None:
        """Count a failure, or an attempt that is under way."""
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
