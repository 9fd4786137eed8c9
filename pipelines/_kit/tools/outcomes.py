"""What came of a call of a tool."""

from dataclasses import asdict, dataclass, field
from typing import Any, Literal

Status = Literal["done", "refused", "unknown", "compensated", "proposed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolOutcome:
    """What came of a call. ``unknown``: it may have happened, and no one said whether it did.

    Plain data, so that it can stand in a graph's state: `amount` is a decimal as text, `result` holds the operation's
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
