"""Objects that a ``with`` statement closes."""

from types import TracebackType
from typing import Self


class Closing:
    """Mixin: leaving a ``with`` block closes the object."""

    __slots__ = ()

    def close(self) -> None:
        """Release what the object holds."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
