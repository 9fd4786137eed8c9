"""``/console/money/prices``: prices in force, models that have none, and new dated prices."""

from datetime import timedelta
from typing import Annotated, Any

from fastapi import Query, Request, Response

from api.console.forms import parse_form
from api.console.rendering import flash, render
from api.console.rendering import gettext as _
from api.console.routing import current, form, new_router, redirect, requires
from api.console.work import change, read
from api.costs.parameters import parse_reach
from api.deps import Runtime
from api.prices.routes import decode_cursor, encode_cursor
from api.prices.schemas import MODEL_MAX, PROVIDER_MAX, SetPrice
from core.keys.principal import Principal
from core.kit.clock import utc_now
from core.kit.db import SingleStatement
from core.ledger.prices import service
from core.ledger.prices.records import NewPrice, format_price
from core.ledger.records import Unit
from core.rollups import repository
from core.rollups.collect import floor_to
from core.rollups.records import Grain
from core.rollups.repository import Dimension, Selection

router = new_router("/money/prices")

_LIST = "/console/money/prices"
_PAGE = 100
_UNPRICED = timedelta(days=30)


@router.get("")
@requires("prices:read")
async def prices(
    request: Request,
    provider: Annotated[str, Query(max_length=PROVIDER_MAX)] = "",
    model: Annotated[str, Query(max_length=MODEL_MAX)] = "",
    cursor: Annotated[str | None, Query(max_length=1000)] = None,
) -> Response:
    """Prices in force, and models called in the last 30 days whose usage had no price."""
    sees_usage = "costs:read" in current(request).principal.scopes

    def find(_runtime: Runtime, session: SingleStatement, principal: Principal) -> dict[str, Any]:
        return {
            "found": service.list_effective(
                session,
                principal.organization_id,
                provider=provider.strip() or None,
                model=model.strip() or None,
                after=None if cursor is None else decode_cursor(cursor),
                limit=_PAGE + 1,
            ),
            "unpriced": _unpriced(session, principal) if sees_usage and cursor is None else [],
        }

    values = await read(request, find)
    found = values.pop("found")
    return render(
        request,
        "money/prices.html",
        prices=[(each, format_price(each.usd_per_unit), each.usd_per_unit * 1_000_000) for each in found[:_PAGE]],
        older=encode_cursor(found[_PAGE - 1]) if len(found) > _PAGE else None,
        provider=provider,
        model=model,
        units=[unit.value for unit in Unit],
        **values,
    )


@router.post("")
@requires("prices:write")
async def set_price(request: Request) -> Response:
    """Add a dated price of the organization."""
    fields = form(request)
    given = {name: fields.get(name) or None for name in ("provider", "model", "unit", "usd_per_unit", "valid_from")}
    body = parse_form(SetPrice, given)
    new = NewPrice(body.provider, body.model, body.unit, body.usd_per_unit, body.valid_from, body.above_input_tokens)
    await change(request, lambda _runtime, session, principal: service.set_price(session, principal, new))
    return flash(redirect(request, _LIST), _("The price is recorded. Earlier charges do not change."))


def _unpriced(session: SingleStatement, principal: Principal) -> list[tuple[str, str, int, int]]:
    """Provider, model, calls, and those of them with usage that had no price."""
    now = utc_now()
    begins = floor_to(Grain.DAY, now - _UNPRICED)
    selection = Selection(parse_reach(principal, None), Grain.DAY, begins, now)
    totals = repository.by_group(repository.read(session, selection, Dimension.MODEL))
    found = [
        (str(provider), str(model), figures.calls, figures.unpriced_calls)
        for (provider, model, *_version), figures in totals.items()
        if figures.unpriced_calls
    ]
    return sorted(found, key=lambda line: -line[3])
