"""The SQL of prices. Every statement names the organization whose prices are visible beside the global ones."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from core.kit.db import Executor
from core.kit.ids import new_id
from core.kit.json_values import dumps
from core.ledger.prices.records import ANY_MODEL, NewPrice, PriceRecord, PriceSource, format_price
from core.ledger.records import Unit

_COLUMNS = (
    "id, organization_id, provider, model, unit, above_input_tokens, usd_per_unit, valid_from, recorded_at, source"
)
_WIDTH = _COLUMNS.count(",") + 1

_OF_MODEL = text(f"""
SELECT {_COLUMNS}, clock.now FROM (SELECT clock_timestamp() AS now) AS clock
LEFT JOIN prices ON provider = :provider AND model IN (:model, '{ANY_MODEL}')
  AND (organization_id IS NULL OR organization_id = :organization_id)
""")

# One version per unit: the organization's before the global one, then the latest start, then the last written.
_EFFECTIVE = text(f"""
WITH winner AS (
  SELECT DISTINCT ON (provider, model, unit) organization_id, provider, model, unit, valid_from, recorded_at
  FROM prices
  WHERE (organization_id IS NULL OR organization_id = :organization_id) AND above_input_tokens = 0
    AND valid_from <= coalesce(CAST(:at AS timestamptz), now())
    AND (CAST(:provider AS text) IS NULL OR provider = :provider)
    AND (CAST(:model AS text) IS NULL OR model = :model)
    AND (CAST(:after_provider AS text) IS NULL
      OR (provider, model, unit) >= (:after_provider, :after_model, :after_unit))
  ORDER BY provider, model, unit, organization_id IS NULL, valid_from DESC, recorded_at DESC
)
SELECT {", ".join("price." + name.strip() for name in _COLUMNS.split(","))}
FROM winner JOIN prices AS price ON price.provider = winner.provider AND price.model = winner.model
  AND price.unit = winner.unit AND price.valid_from = winner.valid_from AND price.recorded_at = winner.recorded_at
  AND price.organization_id IS NOT DISTINCT FROM winner.organization_id
WHERE CAST(:after_provider AS text) IS NULL OR (price.provider, price.model, price.unit, price.above_input_tokens)
  > (:after_provider, :after_model, :after_unit, CAST(:after_tokens AS bigint))
ORDER BY price.provider, price.model, price.unit, price.above_input_tokens LIMIT :limit
""")
_HISTORY = text(f"""
SELECT {_COLUMNS} FROM prices
WHERE provider = :provider AND model = :model AND (organization_id IS NULL OR organization_id = :organization_id)
  AND (CAST(:before AS uuid) IS NULL OR id < :before)
ORDER BY id DESC LIMIT :limit
""")
_VISIBLE = "organization_id IS NULL OR organization_id = :organization_id"
_OWN_VERSIONS = "CAST(:organization_id AS uuid) IS NULL OR organization_id = :organization_id"
_HAS_PROVIDER = text(f"""
SELECT EXISTS (SELECT FROM prices WHERE provider = :provider AND ({_VISIBLE}))
  OR EXISTS (SELECT FROM model_versions WHERE price_provider = :provider AND ({_OWN_VERSIONS}))
""")
# It reads the whole table, so it is for messages only.
_PROVIDERS = text(f"""
SELECT provider FROM prices WHERE {_VISIBLE} UNION SELECT price_provider FROM model_versions WHERE {_OWN_VERSIONS}
""")
_SHARED = text(f"SELECT {_COLUMNS} FROM prices WHERE organization_id IS NULL ORDER BY id")
_HAS_SOURCE = text("SELECT EXISTS (SELECT FROM prices WHERE organization_id IS NULL AND source = :source)")
_INSERT = text(f"""
INSERT INTO prices (id, organization_id, provider, model, unit, above_input_tokens, usd_per_unit, valid_from,
  recorded_at, source)
SELECT id, :organization_id, provider, model, unit, above_input_tokens, usd_per_unit, coalesce(valid_from, now()),
  now(), source
FROM jsonb_to_recordset(CAST(:prices AS jsonb)) AS given (id uuid, provider text, model text, unit text,
  above_input_tokens bigint, usd_per_unit numeric, valid_from timestamptz, source text)
RETURNING {_COLUMNS}
""")


def has_source(session: Session, source: PriceSource) -> bool:
    """Whether there is a global price from `source`."""
    found = session.execute(_HAS_SOURCE, {"source": source.value})
    return bool(found.scalar_one())


def to_record(row: Row[Any]) -> PriceRecord:
    """The record of a row that starts with the columns of a price."""
    values = tuple(row[:_WIDTH])
    return PriceRecord(*values[:4], Unit(values[4]), *values[5:9], PriceSource(values[9]))  # type: ignore[call-arg]


def of_model(session: Executor, organization_id: UUID, provider: str, model: str) -> tuple[list[PriceRecord], datetime]:
    """Every price, past and future, that may apply to a model, and the database's time."""
    rows = session.execute(_OF_MODEL, {"organization_id": organization_id, "provider": provider, "model": model}).all()
    return [to_record(row) for row in rows if row.id is not None], rows[0].now


def has_provider(session: Session, organization_id: UUID | None, provider: str) -> bool:
    """Whether a visible price, or a model version of the organization's, names the provider; for None, anyone's."""
    found = session.execute(_HAS_PROVIDER, {"organization_id": organization_id, "provider": provider})
    return bool(found.scalar_one())


def providers(session: Session, organization_id: UUID | None) -> set[str]:
    """All providers for which `has_provider` is true."""
    return set(session.execute(_PROVIDERS, {"organization_id": organization_id}).scalars())


def effective(
    session: Executor,
    organization_id: UUID,
    *,
    provider: str | None,
    model: str | None,
    at: datetime | None,
    after: tuple[str, str, str, int] | None,
    limit: int,
) -> list[PriceRecord]:
    """The prices in force at `at` (now when None), by provider, model, unit and tier, starting after `after`."""
    rows = session.execute(
        _EFFECTIVE,
        {
            "organization_id": organization_id,
            "provider": provider,
            "model": model,
            "at": at,
            "after_provider": after[0] if after else None,
            "after_model": after[1] if after else None,
            "after_unit": after[2] if after else None,
            "after_tokens": after[3] if after else None,
            "limit": limit,
        },
    )
    return [to_record(row) for row in rows]


def history(
    session: Executor, organization_id: UUID, provider: str, model: str, *, before: UUID | None, limit: int
) -> list[PriceRecord]:
    """Every price of a model that the organization may see, the last written first, with ids below `before`."""
    rows = session.execute(
        _HISTORY,
        {
            "organization_id": organization_id,
            "provider": provider,
            "model": model,
            "before": before,
            "limit": limit,
        },
    )
    return [to_record(row) for row in rows]


def shared_prices(session: Session) -> list[PriceRecord]:
    """Every global price, in the order in which they were written."""
    return [to_record(row) for row in session.execute(_SHARED)]


def insert(session: Executor, organization_id: UUID | None, prices: Sequence[NewPrice]) -> list[PriceRecord]:
    """Add prices in one statement, all with the same write time."""
    given = [
        {
            "id": str(new_id()),
            "provider": price.provider,
            "model": price.model,
            "unit": price.unit.value,
            "above_input_tokens": price.above_input_tokens,
            "usd_per_unit": format_price(price.usd_per_unit),
            "valid_from": price.valid_from,
            "source": price.source.value,
        }
        for price in prices
    ]
    rows = session.execute(_INSERT, {"organization_id": organization_id, "prices": dumps(given).decode()})
    return [to_record(row) for row in rows]
