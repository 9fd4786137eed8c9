"""Limits schemas."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from core.kit.clock import isoformat
from core.kit.ids import encode
from core.limits.errors import PREFIXES, format_value
from core.limits.records import LimitKind, LimitRecord
from core.limits.service import COUNT_MAX

Count = Annotated[int, Field(strict=True, ge=0, le=COUNT_MAX)]
# Text, because a JSON number passes through a float in most clients.
Money = Annotated[str, StringConstraints(pattern=r"^[0-9]{1,9}(\.[0-9]{1,9})?$")]
_VALUE_HELP = "A whole number, or for `cost_per_…` US dollars as a string with at most nine decimals."


class SetLimit(BaseModel):
    """The value to set."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"value": 1000}, {"value": "25.00"}]})

    value: Count | Money = Field(description=_VALUE_HELP)


class Limit(BaseModel):
    """A limit and its usage."""

    scope: Literal["organization", "project", "key"]
    scope_id: str = Field(description="The organization, project or key.")
    kind: LimitKind
    value: int | str = Field(description=_VALUE_HELP)
    used: int | str | None = Field(
        description="Usage in this period, or now. Null for requests, whose usage is in the `RateLimit` header."
    )
    period_start: datetime | None = Field(description="Start of the period. Null without a period.")
    resets_at: datetime | None = Field(description="When the usage is reset. Null without a period.")
    is_default: bool = Field(description="Whether this is the operator's default for every key.")
    updated_at: datetime | None


class LimitPage(BaseModel):
    """The limits."""

    data: list[Limit]
    next_cursor: str | None = Field(description="Pass it as `cursor` to get the next page. Null on the last page.")


def to_wire(limit: LimitRecord) -> dict[str, Any]:
    """`limit` as the members of `Limit`."""
    times = {name: getattr(limit, name) for name in ("period_start", "resets_at", "updated_at")}
    return {
        "scope": limit.scope,
        "scope_id": encode(PREFIXES[limit.scope], limit.scope_id),
        "kind": limit.kind.value,
        "value": format_value(limit.kind, limit.value),
        "used": None if limit.used is None else format_value(limit.kind, limit.used),
        "is_default": limit.id is None,
        **{name: None if moment is None else isoformat(moment) for name, moment in times.items()},
    }
