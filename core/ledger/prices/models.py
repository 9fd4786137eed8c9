"""Prices as stored: append-only; the newest one in force wins."""

from datetime import datetime
from decimal import Decimal
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, text
from sqlalchemy.dialects.postgresql import NUMERIC, TEXT, TIMESTAMP
from sqlalchemy.orm import Mapped, mapped_column

from core.kit.db import Base

_NOW = text("now()")
_TIME = TIMESTAMP(timezone=True)


class Price(Base):
    """What one unit of a model costs from `valid_from` on, globally or for one organization.

    Rows of one unit that share organization, `valid_from` and `recorded_at` are one version; those with
    `above_input_tokens` are its tiers: they apply to a whole call that has more input tokens than that.
    """

    __tablename__ = "prices"
    __table_args__ = (
        Index(
            "prices_model_unit",
            "provider",
            "model",
            "unit",
            "organization_id",
            "valid_from",
            "recorded_at",
            "above_input_tokens",
            unique=True,
            postgresql_nulls_not_distinct=True,
        ),
        CheckConstraint("length(provider) BETWEEN 1 AND 100", name="prices_provider"),
        CheckConstraint("length(model) BETWEEN 1 AND 200", name="prices_model"),
        CheckConstraint(
            "unit IN ('input_tokens', 'cached_input_tokens', 'cache_write_tokens', 'output_tokens',"
            " 'reasoning_tokens', 'embedding_tokens', 'image', 'audio_second', 'ocr_page', 'worker_second')",
            name="prices_unit",
        ),
        CheckConstraint("above_input_tokens >= 0", name="prices_above_input_tokens"),
        CheckConstraint("usd_per_unit >= 0", name="prices_usd_per_unit"),
        CheckConstraint("source IN ('genai-prices', 'operator', 'built-in')", name="prices_source"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, server_default=text("uuidv7()"))
    organization_id: Mapped[UUID | None] = mapped_column(ForeignKey("organizations.id"))
    provider: Mapped[str] = mapped_column(TEXT)
    model: Mapped[str] = mapped_column(TEXT)
    unit: Mapped[str] = mapped_column(TEXT)
    above_input_tokens: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    usd_per_unit: Mapped[Decimal] = mapped_column(NUMERIC(24, 15))
    valid_from: Mapped[datetime] = mapped_column(_TIME, server_default=_NOW)
    recorded_at: Mapped[datetime] = mapped_column(_TIME, server_default=_NOW)
    source: Mapped[str] = mapped_column(TEXT)
