"""The outcome of a call of a tool."""

from dataclasses import asdict, dataclass, field
from typing import Any, Literal

Status = Literal["done", "refused", "unknown", "compensated", "proposed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolOutcome:
    """The outcome of a call. ``unknown``: it may have happened, and nothing shows whether it did.

    Plain data, so that it can be part of a graph's state: `amount` is a decimal as text, `result` holds the operation's
    names of the tool's answer.
    """

    operation: str
    tool: str
    server: str
    effect: str
    call: str
    status: Status
    result: dict[str, Any] = field(default_factory=dict)
    code: str | None = None
    message: str | None = None
    amount: str | None = None
    currency: str | None = None
    approved_by: str | None = None

    def plain(self) -> dict[str, Any]:
        """As a dictionary for a graph's state."""
        return asdict(self)
