"""The profile of a child: the code that it loads, the resources it may use, and how long it is kept."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from core.kit.errors import CapabilityFailure

TOO_MUCH_MEMORY = "too_much_memory"
TOO_SLOW = "too_slow"
CRASHED = "crashed"
NOT_STARTED = "not_started"

_MIB = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """The limits of a child. The kernel enforces all but the clock, which the parent enforces.

    `memory_bytes` (of address space), `file_bytes` (of one written file) and `descriptors` hold for the child's life,
    `cpu_seconds` (of processor time), `clock_seconds` (that the parent waits) and `answer_bytes` for each call.
    """

    memory_bytes: int = 1024 * _MIB
    cpu_seconds: float = 30
    clock_seconds: float = 90.0
    file_bytes: int = 256 * _MIB
    descriptors: int = 64
    answer_bytes: int = 64 * _MIB


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxProfile:
    """`entry` is ``module:function``: called once in a child, with `options`; it returns the handler of the calls.

    At most `size` children work at a time. A child is replaced after `calls` calls, or when it holds more than
    `resident_max_bytes` of resident memory after one; it ends after `idle_seconds` without one.
    """

    name: str
    entry: str
    options: Mapping[str, Any] = field(default_factory=dict)
    bounds: Bounds = field(default_factory=Bounds)
    size: int = 1
    calls: int = 500
    resident_max_bytes: int = 512 * _MIB
    idle_seconds: float = 60.0


class Refusal(CapabilityFailure):
    """The child's code refused its task in an orderly way; the child stays usable."""


class SandboxFailure(Exception):
    """A call failed, and its child is gone. `reason` is one of the constants of this module."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason
