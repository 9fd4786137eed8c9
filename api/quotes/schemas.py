"""Quotes schemas."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from api.amounts import Money
from core.forecasts.quotes import Basis
from core.forecasts.quotes import Quote as QuoteRecord
from core.kit.money import format_money


class AskQuote(BaseModel):
    """A job to estimate."""

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
    input: dict[str, Any] = Field(
        description="The input, as for `POST /v1/jobs`. It is validated and measured, but not stored."
    )
    max_cost_usd: Money | None = Field(None, description="The job's cost limit.", examples=["0.25"])
    model: str | None = Field(
        None,
        min_length=1,
        max_length=200,
        description="Use only jobs that spent most on this model, named as in costs. Default: all.",
        examples=["gpt-4o"],
    )


class Quote(BaseModel):
    """Probable cost of the job with its child jobs, in US dollars as decimal strings."""

    capability: str
    p50_usd: str | None = Field(description="Half of such jobs cost no more. Null: too few jobs (`basis` is `none`).")
    p90_usd: str | None = Field(description="Nine in ten cost no more.")
    cap_usd: str | None = Field(
        description="Upper limit of the cost: the job's own limit, or the rest of a hard budget. Null without either."
    )
    capped_by: str | None = Field(description="`max_cost_usd`, or the name of the budget.")
    basis: Basis = Field(
        description=(
            "The jobs of the last 30 days that the quote is based on: the most specific group with at least"
            " 50. Groups by size include inputs of similar length, within a factor of two to four."
        )
    )
    jobs: int = Field(description="Number of these jobs.")
    size_bytes: int = Field(description="Length of the input as JSON.")


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
