"""The prices of the package ``genai-prices``, in the price table's units. Its data ships with it: nothing is fetched.

The package prices a million tokens, an hour of audio or a thousand pages, has tiers by input length and prices from a
date on; these are converted exactly. Where it has prices by the hour of the day, the highest is taken. Quantities
without a unit here (searches, requests, image and audio tokens, one-hour caches) are left out.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, time
from decimal import Decimal
from typing import Any

from genai_prices.data import providers
from genai_prices.types import (
    ClauseAnd,
    ClauseEquals,
    ClauseOr,
    ConditionalPrice,
    ModelInfo,
    ModelPrice,
    Provider,
    StartDateConstraint,
    TieredPrices,
)

from core.ledger.prices.records import to_price
from core.ledger.records import Unit

# Prices without a date apply to any time.
BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)

_MILLION = 1_000_000
_SOURCES: tuple[tuple[Unit, str, int], ...] = (
    (Unit.INPUT_TOKENS, "input_mtok", _MILLION),
    (Unit.CACHED_INPUT_TOKENS, "cache_read_mtok", _MILLION),
    (Unit.CACHE_WRITE_TOKENS, "cache_write_mtok", _MILLION),
    (Unit.OUTPUT_TOKENS, "output_mtok", _MILLION),
    (Unit.REASONING_TOKENS, "output_reasoning_mtok", _MILLION),
    (Unit.AUDIO_SECOND, "audio_hours", 3600),
    (Unit.AUDIO_SECOND, "input_audio_hours", 3600),
    (Unit.OCR_PAGE, "input_document_kpages", 1000),
)

# Prices by the number of input tokens above which they apply; 0 is always present.
Tiers = dict[int, Decimal]


@dataclass(frozen=True, slots=True)
class PackagedPrices:
    """The prices of one unit of a model: tiers by the time from which they apply, the earliest first."""

    provider: str
    model: str
    unit: Unit
    versions: tuple[tuple[datetime, Tiers], ...]


def provider_ids() -> frozenset[str]:
    """The providers that the package knows."""
    return frozenset(provider.id for provider in providers)


def packaged_prices() -> Iterator[PackagedPrices]:
    """Every model that the package can name exactly, under its id and under each alias, by provider and name.

    A provider that resells others' models (Azure, Bedrock) lists those too, as the package's own lookup would find
    them.
    """
    for provider in sorted(providers, key=lambda found: found.id):
        for name in sorted(_names(provider)):
            model = provider.find_model(name, all_providers=providers)
            if model is not None:
                yield from _prices_of(provider.id, name, model)


def _names(provider: Provider) -> set[str]:
    resold = set(provider.fallback_model_providers or ())
    sources = [provider, *(other for other in providers if other.id in resold)]
    return {name for source in sources for model in source.models for name in (model.id, *_exact_names(model.match))}


def _exact_names(clause: Any) -> Iterator[str]:
    if isinstance(clause, ClauseEquals):
        yield clause.equals
    elif isinstance(clause, ClauseOr):
        for inner in clause.or_:
            yield from _exact_names(inner)
    elif isinstance(clause, ClauseAnd):
        return


def _prices_of(provider: str, name: str, model: ModelInfo) -> Iterator[PackagedPrices]:
    conditional = model.prices if isinstance(model.prices, list) else [ConditionalPrice(prices=model.prices)]
    versions: dict[Unit, dict[datetime, Tiers]] = {}
    for condition in conditional:
        starts = _starts(condition)
        for unit, tiers in _tiers_of(condition.prices).items():
            of_unit = versions.setdefault(unit, {})
            same_start = of_unit.get(starts)
            of_unit[starts] = tiers if same_start is None else _dearest(same_start, tiers)
    for unit, of_unit in versions.items():
        yield PackagedPrices(provider, name, unit, tuple(sorted(of_unit.items(), key=lambda item: item[0])))


def _starts(condition: ConditionalPrice) -> datetime:
    if isinstance(condition.constraint, StartDateConstraint):
        return datetime.combine(condition.constraint.start_date, time(), UTC)
    return BEGINNING


def _tiers_of(prices: ModelPrice) -> dict[Unit, Tiers]:
    found: dict[Unit, Tiers] = {}
    for unit, name, units in _SOURCES:
        price = getattr(prices, name)
        if isinstance(price, TieredPrices):
            found[unit] = {0: price.base, **{tier.start: tier.price for tier in price.tiers}}
        elif price is not None:
            found[unit] = {0: price}
        else:
            continue
        found[unit] = {above: to_price(usd / units) for above, usd in found[unit].items()}
    return found


def _dearest(one: Tiers, other: Tiers) -> Tiers:
    return {above: max(_at(one, above), _at(other, above)) for above in sorted({*one, *other})}


def _at(tiers: Tiers, above: int) -> Decimal:
    return tiers[max(start for start in tiers if start <= above)]
