"""Other prices, applied to past consumption."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal

from sqlalchemy import text

from core.kit.db import Executor
from core.kit.money import ZERO, to_money
from core.ledger.records import Unit
from core.ledger.reports.records import Reach, Window

# Quantities and their charges, added up by model and kind in Postgres.
_CONSUMED = text("""
SELECT entry.provider, entry.model, part.kind, sum(part.quantity::numeric) AS quantity,
  coalesce(sum((entry.amounts ->> part.kind)::numeric), 0) AS amount_usd, count(*) AS calls
FROM ledger_entries AS entry CROSS JOIN LATERAL jsonb_each_text(entry.quantities) AS part (kind, quantity)
WHERE entry.organization_id = :organization_id AND entry.kind = 'settlement'
  AND entry.job_id >= uuid7_floor(CAST(:begins AS timestamptz))
  AND entry.job_id < uuid7_floor(CAST(:ends AS timestamptz))
  AND (CAST(:project_id AS uuid) IS NULL OR entry.project_id = :project_id)
GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
""")


@dataclass(frozen=True, slots=True)
class NewPrice:
    """US dollars for one unit of a model of a provider."""

    provider: str
    model: str
    unit: Unit
    usd_per_unit: Decimal


@dataclass(frozen=True, slots=True)
class Repriced:
    """The charge for a model's consumption of one kind, as it was and at the other price (None: unchanged)."""

    provider: str
    model: str
    unit: str
    quantity: Decimal
    calls: int
    charged_usd: Decimal
    repriced_usd: Decimal | None

    @property
    def difference_usd(self) -> Decimal:
        """The increase at the other price; negative when it is lower."""
        return ZERO if self.repriced_usd is None else self.repriced_usd - self.charged_usd


def reprice(executor: Executor, reach: Reach, window: Window, prices: Iterable[NewPrice]) -> list[Repriced]:
    """The charges of jobs accepted within `window`, by model and kind, beside the hypothetical ones."""
    values = {
        "organization_id": reach.organization_id,
        "project_id": reach.project_id,
        "begins": window.begins,
        "ends": window.ends,
    }
    changed = {(price.provider, price.model, price.unit.value): price.usd_per_unit for price in prices}
    return [
        Repriced(
            row.provider,
            row.model,
            row.kind,
            row.quantity,
            row.calls,
            row.amount_usd,
            _price(changed, (row.provider, row.model, row.kind), row.quantity),
        )
        for row in executor.execute(_CONSUMED, values)
    ]


def _price(
    changed: Mapping[tuple[str, str, str], Decimal], key: tuple[str, str, str], quantity: Decimal
) -> Decimal | None:
    provider, _, unit = key
    price = changed.get(key, changed.get((provider, "*", unit)))
    return None if price is None else to_money(price * quantity)
