"""Sets prices: always as a new dated row, always with an audit record."""

from datetime import UTC, datetime
from difflib import get_close_matches
from uuid import UUID

from sqlalchemy.orm import Session

from core.audit.actions import AuditAction
from core.audit.record import record
from core.keys.principal import Principal
from core.kit.clock import isoformat
from core.kit.db import Executor
from core.kit.errors import Unprocessable
from core.kit.ids import PRICE, encode
from core.ledger.prices import repository
from core.ledger.prices.records import DEPLOYED_PROVIDERS, PRICE_LIMIT, NewPrice, PriceRecord, format_price, to_price

_EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)


def set_price(session: Session, principal: Principal, new: NewPrice) -> PriceRecord:
    """Add a price of the caller's organization and its audit record. Raises `Unprocessable` for an invalid one."""
    _check(new)
    _require_known(session, principal.organization_id, new.provider)
    (price,) = repository.insert(session, principal.organization_id, [new])
    record(
        session,
        principal.organization_id,
        None,
        AuditAction.PRICE_SET,
        subject_id=encode(PRICE, price.id),
        actor=principal.actor,
        detail={
            "provider": price.provider,
            "model": price.model,
            "unit": price.unit.value,
            "usd_per_unit": format_price(price.usd_per_unit),
            "above_input_tokens": price.above_input_tokens,
            "valid_from": isoformat(price.valid_from),
        },
    )
    return price


def set_shared_price(session: Session, new: NewPrice) -> PriceRecord:
    """Add a price that applies where an organization has none of its own. Needs `Database.system`."""
    _check(new)
    _require_known(session, None, new.provider)
    (price,) = repository.insert(session, None, [new])
    return price


def list_effective(
    session: Executor,
    organization_id: UUID,
    *,
    provider: str | None = None,
    model: str | None = None,
    at: datetime | None = None,
    after: tuple[str, str, str, int] | None = None,
    limit: int = 100,
) -> list[PriceRecord]:
    """The prices in force at `at` (now when None), ordered by provider, model, unit and tier."""
    return repository.effective(
        session, organization_id, provider=provider, model=model, at=at, after=after, limit=limit
    )


def list_history(
    session: Executor, organization_id: UUID, provider: str, model: str, *, before: UUID | None = None, limit: int = 100
) -> list[PriceRecord]:
    """Every price a model ever had or will have, the last written first."""
    return repository.history(session, organization_id, provider, model, before=before, limit=limit)


def _check(new: NewPrice) -> None:
    usd = new.usd_per_unit
    if not usd.is_finite() or not 0 <= usd < PRICE_LIMIT or usd != to_price(usd):
        raise _refused("usd_per_unit", f"a price is at least 0, below {PRICE_LIMIT:,} and has 15 decimals at most")
    if new.valid_from is not None and new.valid_from < _EARLIEST:
        raise _refused("valid_from", "a price begins in 1970 or later")


def _require_known(session: Session, organization_id: UUID | None, provider: str) -> None:
    """Refuse a price for an unknown provider: it would never apply, and the caller would not notice."""
    if provider in DEPLOYED_PROVIDERS or repository.has_provider(session, organization_id, provider):
        return
    # A provider of the package may not be in the table yet; importing the package is slow, so it is checked last.
    from core.ledger.prices.packaged import provider_ids

    if provider in provider_ids():
        return
    known = {*DEPLOYED_PROVIDERS, *provider_ids(), *repository.providers(session, organization_id)}
    near = get_close_matches(provider.lower(), sorted(known), n=1)
    meant = f"; did you mean {near[0]}?" if near else ""
    message = (
        f"no provider is called {provider!r} here{meant or '.'} Known are: {', '.join(sorted(known))}. To price another"
        " one, name it as price_provider of a model version first"
    )
    problem = {"path": "body.provider", "code": "provider_unknown", "message": message}
    raise Unprocessable(f"body.provider: {message}", errors=[problem])


def _refused(field: str, message: str) -> Unprocessable:
    problem = {"path": f"body.{field}", "code": "invalid_price", "message": message}
    return Unprocessable(f"{problem['path']}: {message}", errors=[problem])
