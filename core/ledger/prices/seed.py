"""Fills the price table from the package ``genai-prices``: at the first start and on request; no network."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.orm import Session

from core.kit.db import Database
from core.kit.settings import Settings
from core.ledger.prices import repository
from core.ledger.prices.packaged import PackagedPrices, Tiers, packaged_prices
from core.ledger.prices.records import NewPrice, PriceRecord, PriceSource
from core.ledger.records import Unit

_SEED_LOCK = 7_201_960
_LOCK = text("SELECT pg_advisory_xact_lock(:key), now()")

_Key = tuple[str, str, Unit]


@dataclass(frozen=True, slots=True)
class Seeded:
    """The result of seeding: prices added, and units skipped because an operator set a global price for them."""

    added: int
    unchanged: int
    left_to_operator: int


def seed_prices(session: Session) -> Seeded:
    """Add the installed package's prices that the table lacks. Needs `Database.system`.

    A price that differs from the stored one becomes a new row from now on; nothing stored is changed. Units for which
    an operator set a global price are left alone.
    """
    now: datetime = session.execute(_LOCK, {"key": _SEED_LOCK}).one().now
    stored: dict[_Key, list[PriceRecord]] = defaultdict(list)
    for row in repository.shared_prices(session):
        stored[row.provider, row.model, row.unit].append(row)
    new: list[NewPrice] = []
    unchanged = left = 0
    for packaged in packaged_prices():
        known = stored.get((packaged.provider, packaged.model, packaged.unit), [])
        if any(row.source is not PriceSource.PACKAGE for row in known):
            left += 1
            continue
        missing = list(_missing(packaged, known, now))
        unchanged += not missing
        new.extend(missing)
    if new:
        repository.insert(session, None, new)
    return Seeded(len(new), unchanged, left)


def seed_prices_once(settings: Settings, application_name: str) -> Seeded | None:
    """As `seed_prices`, for an installation's first start: None where the package's prices are already in the table."""
    database = Database(settings, application_name=application_name, pool_size=1)
    try:
        with database.system() as session:
            return None if repository.has_source(session, PriceSource.PACKAGE) else seed_prices(session)
    finally:
        database.close()


def _missing(packaged: PackagedPrices, known: Iterable[PriceRecord], now: datetime) -> Iterator[NewPrice]:
    """The rows that bring the table in line with the package from now on, without rewriting its history."""
    versions = _versions(known)
    wanted = dict(packaged.versions)
    added: dict[datetime, Tiers] = {}
    for begins, tiers in packaged.versions:
        if begins > now:
            # A future price may still be announced again.
            if versions.get(begins) != tiers:
                added[begins] = tiers
        elif not versions:
            added[begins] = tiers
    announced = _current(wanted, now)
    if announced is not None and _current({**versions, **added}, now) != announced:
        begun = max((begins for begins in wanted if begins <= now), default=now)
        newest = max((begins for begins in versions if begins <= now), default=begun)
        # The announced date, unless the table has had another price since: then from now on.
        added[begun if begun > newest else now] = announced
    for begins, tiers in added.items():
        for above, usd in tiers.items():
            yield NewPrice(packaged.provider, packaged.model, packaged.unit, usd, begins, above, PriceSource.PACKAGE)


def _versions(rows: Iterable[PriceRecord]) -> dict[datetime, Tiers]:
    """The last written tiers by the time from which they apply."""
    written: dict[datetime, datetime] = {}
    found: dict[datetime, Tiers] = {}
    for row in sorted(rows, key=lambda row: row.recorded_at):
        if written.get(row.valid_from) != row.recorded_at:
            written[row.valid_from], found[row.valid_from] = row.recorded_at, {}
        found[row.valid_from][row.above_input_tokens] = row.usd_per_unit
    return found


def _current(versions: dict[datetime, Tiers], now: datetime) -> Tiers | None:
    begun = [begins for begins in versions if begins <= now]
    return versions[max(begun)] if begun else None
