"""The limits of one file."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Bounds on one file. A file over any of them is refused as a whole, rather than read in part.

    `seconds` are of processor time: a permanent refusal must not depend on the load of the machine.
    """

    size_bytes: int = 64 * 1024 * 1024
    uncompressed_bytes: int = 256 * 1024 * 1024
    pages: int = 3000
    characters: int = 12_000_000
    cells: int = 2_000_000
    seconds: float = 60.0
    memory_bytes: int = 2 * 1024 * 1024 * 1024


DEFAULT_LIMITS = Limits()
