"""Quotes on the wire."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from api.amounts import Money
from core.forecasts.quotes import Basis
from core.forecasts.quotes import Quote as QuoteRecord
from core.kit.money import format_money


class AskQuote(BaseModel):
    """A job that is not submitted."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "capability": "models.chat",
                    "input": {"messages": [{"role": "user", "content": "Where is my parcel?"}]},
                }
            ]
        },
    )

    capability: str = Field(max_length=200, examples=["knowledge.search"])
    input: dict[str, Any] = Field(description="As for `POST /v1/jobs`. It is checked, measured and not stored.")
    max_cost_usd: Money | None = Field(None, description="The cap that the job would have.", examples=["0.25"])
    model: str | None = Field(
        None,
        min_length=1,
        max_length=200,
        description="Only jobs that spent most on this model, as costs name it. Default: all.",
        examples=["gpt-4o"],
    )


class Quote(BaseModel):
    """What the job will probably cost with everything that it starts, in US dollars as text."""

    capability: str
    p50_usd: str | None = Field(description="Half of such jobs cost no more. Null: too few were run (`basis` none).")
    p90_usd: str | None = Field(description="Nine in ten cost no more.")
    cap_usd: str | None = Field(
        description="It cannot cost more: its own cap, or what a hard budget has left. Null: there is neither."
    )
    capped_by: str | None = Field(description="`max_cost_usd`, or the name of the budget.")
    basis: Basis = Field(
        description=(
            "Which jobs of the last 30 days it is made of: the closest kind of which there are 50. Sizes are those of"
            " the input, within a factor of two to four."
        )
    )
    jobs: int = Field(description="How many they are.")
    size_bytes: int = Field(description="The length of the input as JSON.")


def to_quote(capability: str, size_bytes: int, found: QuoteRecord) -> dict[str, Any]:
    """The members of `Quote`."""
    return {
        "capability": capability,
        "p50_usd": None if found.p50_usd is None else format_money(found.p50_usd),
        "p90_usd": None if found.p90_usd is None else format_money(found.p90_usd),
        "cap_usd": None if found.cap_usd is None else format_money(found.cap_usd),
        "capped_by": found.capped_by,
        "basis": found.basis.value,
        "jobs": found.jobs,
        "size_bytes": size_bytes,
    }
