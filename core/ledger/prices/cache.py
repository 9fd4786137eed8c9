"""The price table: the exact cost of quantities of a model, and their maximum cost."""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from decimal import Decimal, localcontext
from time import monotonic
from uuid import UUID

from core.kit.db import Executor
from core.kit.memory import Memory
from core.kit.money import QUANTUM, ZERO, to_money
from core.ledger.prices import repository
from core.ledger.prices.aliases import known_as
from core.ledger.prices.records import ANY_MODEL, Priced, PriceRecord
from core.ledger.records import Unit

# The maximum delay until a new price takes effect.
_REMEMBER_SECONDS = 2.0
_REMEMBERED_MODELS_MAX = 10_000

# The fallback for a kind of token without a price of its own: a provider without a discount for cached input bills it
# as input, and reasoning is billed as output.
_BILLED_AS = {
    Unit.CACHED_INPUT_TOKENS: Unit.INPUT_TOKENS,
    Unit.CACHE_WRITE_TOKENS: Unit.INPUT_TOKENS,
    Unit.EMBEDDING_TOKENS: Unit.INPUT_TOKENS,
    Unit.REASONING_TOKENS: Unit.OUTPUT_TOKENS,
}
_INPUT = frozenset({Unit.INPUT_TOKENS, Unit.CACHED_INPUT_TOKENS, Unit.CACHE_WRITE_TOKENS})
# The kinds that a token estimated as one kind may turn out to be.
_MAY_BECOME = {
    Unit.INPUT_TOKENS: (Unit.INPUT_TOKENS, Unit.CACHED_INPUT_TOKENS, Unit.CACHE_WRITE_TOKENS),
    Unit.OUTPUT_TOKENS: (Unit.OUTPUT_TOKENS, Unit.REASONING_TOKENS),
}

Quantities = Mapping[Unit, int | Decimal]


class PriceCache:
    """A process's cache of prices, for at most two seconds. Thread-safe."""

    def __init__(self) -> None:
        self._remembered: Memory[tuple[UUID, str, str], tuple[list[PriceRecord], datetime]] = Memory(
            _REMEMBER_SECONDS, entries_max=_REMEMBERED_MODELS_MAX
        )

    def price(
        self,
        session: Executor,
        organization_id: UUID,
        provider: str,
        model: str,
        quantities: Quantities,
        *,
        at: datetime | None = None,
    ) -> Priced:
        """The cost of `quantities` at `at` (aware; now by the database's clock when None).

        A model without prices costs 0 and is not known. Raises ValueError for a negative or non-numeric quantity.
        """
        tiers = self._tiers(session, organization_id, provider, model, at)
        total_input = _total_input(quantities)
        return _add_up(quantities, lambda unit: _in_force(tiers, unit, total_input), has_prices=bool(tiers))

    def bound(
        self,
        session: Executor,
        organization_id: UUID,
        provider: str,
        model: str,
        quantities: Quantities,
        *,
        at: datetime | None = None,
    ) -> Priced:
        """The maximum cost of a call that consumes at most `quantities`, whatever kind its tokens turn out to be.

        Input may turn out to be read from or written to a cache, and output to be reasoning: each counts at the most
        expensive of these kinds and tiers. The amount is never below `price` of anything within the quantities.
        """
        tiers = self._tiers(session, organization_id, provider, model, at)
        total_input = _total_input(quantities)

        def dearest(unit: Unit) -> PriceRecord | None:
            kinds = _MAY_BECOME.get(unit, (unit,))
            reachable = [
                row
                for kind in kinds
                for row in tiers.get(kind) or tiers.get(_BILLED_AS.get(kind, kind), ())
                if row.above_input_tokens < max(total_input, 1)
            ]
            return max(reachable, key=lambda row: row.usd_per_unit, default=None)

        # The parts of a call are rounded separately: off by at most three half quanta, and this bound by half of one.
        return _add_up(quantities, dearest, has_prices=bool(tiers), margin=2 * QUANTUM)

    def evict(self) -> None:
        """Clear the cache."""
        self._remembered.evict()

    def _tiers(
        self, session: Executor, organization_id: UUID, provider: str, model: str, at: datetime | None
    ) -> dict[Unit, tuple[PriceRecord, ...]]:
        known = self._remembered.get(
            session,
            (organization_id, provider, model),
            lambda executor: _rows(executor, organization_id, provider, model),
        )
        rows, database_time = known.value
        # The database's time, advanced by this process's clock while the answer is cached.
        return choose(rows, at or database_time + timedelta(seconds=monotonic() - known.asked_at))


def _rows(executor: Executor, organization_id: UUID, provider: str, model: str) -> tuple[list[PriceRecord], datetime]:
    """The model's prices, or those of the model that it is an alias of."""
    rows, now = repository.of_model(executor, organization_id, provider, model)
    if not rows and (alias := known_as(provider, model)):
        rows, _ = repository.of_model(executor, organization_id, *alias)
    return rows, now


def choose(rows: Iterable[PriceRecord], at: datetime) -> dict[Unit, tuple[PriceRecord, ...]]:
    """The version in force at `at` of each unit, its tiers from the lowest.

    The organization's come before the global ones, a model's own before its provider's; then the latest start wins.
    """
    begun = [row for row in rows if row.valid_from <= at]
    versions = {unit: max(map(_rank, _of(begun, unit))) for unit in {row.unit for row in begun}}
    return {
        unit: tuple(
            sorted((row for row in _of(begun, unit) if _rank(row) == version), key=lambda row: row.above_input_tokens)
        )
        for unit, version in versions.items()
    }


def _of(rows: Iterable[PriceRecord], unit: Unit) -> Iterable[PriceRecord]:
    return (row for row in rows if row.unit is unit)


def _rank(row: PriceRecord) -> tuple[bool, bool, datetime, datetime]:
    return (row.organization_id is not None, row.model != ANY_MODEL, row.valid_from, row.recorded_at)


def _in_force(
    tiers: Mapping[Unit, tuple[PriceRecord, ...]], unit: Unit, total_input: int | Decimal
) -> PriceRecord | None:
    rows = tiers.get(unit) or tiers.get(_BILLED_AS.get(unit, unit), ())
    reached = [row for row in rows if row.above_input_tokens == 0 or row.above_input_tokens < total_input]
    return reached[-1] if reached else None


def _total_input(quantities: Quantities) -> int | Decimal:
    return sum((quantity for unit, quantity in quantities.items() if unit in _INPUT), start=0)


def _add_up(
    quantities: Quantities,
    price_of: Callable[[Unit], PriceRecord | None],
    *,
    has_prices: bool,
    margin: Decimal = ZERO,
) -> Priced:
    amounts: dict[Unit, Decimal] = {}
    price_ids: dict[UUID, None] = {}
    is_known = has_prices
    for unit, quantity in quantities.items():
        exact = Decimal(quantity)
        if not exact.is_finite() or exact < 0:
            raise ValueError(f"a quantity of {unit} must be a number of at least 0")
        price = price_of(unit)
        if price is None:
            is_known = is_known and not exact
            continue
        with localcontext(prec=60):
            # The default of 28 digits could round a product before `to_money` does.
            cost = to_money(exact * price.usd_per_unit)
        amounts[unit] = cost + margin if exact and price.usd_per_unit else cost
        price_ids[price.id] = None
    return Priced(sum(amounts.values(), start=ZERO), amounts, tuple(price_ids), is_known)
