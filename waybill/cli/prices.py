"""``waybill prices``: list and set what models cost, and load the default prices."""

from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Annotated

import typer

from waybill.cli.connect import connect
from waybill.cli.exits import EPILOG, Exit
from waybill.cli.failures import CliError
from waybill.cli.options import ApiKey, Json, Url
from waybill.cli.output import Output

if TYPE_CHECKING:
    from waybill.client.models import Price

app = typer.Typer(no_args_is_help=True, help="List and set what models cost.", epilog=EPILOG)


@app.command("list", epilog=EPILOG)
def list_prices(
    provider: Annotated[str | None, typer.Option(show_default=False, help="Only prices of this provider.")] = None,
    model: Annotated[str | None, typer.Option(show_default=False, help="Only prices of this model.")] = None,
    at: Annotated[
        str | None,
        typer.Option(metavar="TIME", show_default="now", help="Prices in force at this time: 2026-01-31T00:00:00Z."),
    ] = None,
    history: Annotated[
        bool,
        typer.Option(
            "--history", help="Show every price of one model, past and future. Requires --provider and --model."
        ),
    ] = False,
    url: Url = None,
    api_key: ApiKey = None,
    as_json: Json = False,
) -> None:
    """List the prices in force: the organization's own, and the shared prices where it has none."""
    from waybill.cli.tables import moment, table

    output = Output(as_json=as_json)
    if history and not (provider and model):
        raise CliError(
            "--history requires --provider and --model",
            remedy="add --provider and --model",
            code="model_missing",
            exit_code=Exit.USAGE,
        )
    with connect(url, api_key) as client:
        if history:
            prices = list(client.prices.history(provider or "", model or ""))
        else:
            prices = list(client.prices.list(provider=provider, model=model, at=at))
    if as_json:
        output.document({"data": [price.as_json() for price in prices]})
        return
    if not prices:
        output.note("no prices; load the default prices with: waybill prices seed")
        return
    made = table("PROVIDER", "MODEL", "UNIT", "USD PER UNIT", "FROM", "FOR", "SOURCE")
    for price in prices:
        above = f" (above {price.above_input_tokens:,} input tokens)" if price.above_input_tokens else ""
        began = moment(price.valid_from) if price.valid_from.year > 1970 else "always"  # noqa: PLR2004 - the beginning
        made.add_row(
            price.provider, price.model, price.unit + above, _plain(price), began, price.applies_to, price.source
        )
    output.show(made)


@app.command("set", epilog=EPILOG)
def set_price(
    provider: Annotated[str, typer.Argument(metavar="PROVIDER", help="The provider.", show_default=False)],
    model: Annotated[
        str, typer.Argument(metavar="MODEL", help="The model, or * for all of the provider.", show_default=False)
    ],
    unit: Annotated[
        str, typer.Argument(metavar="UNIT", help="input_tokens, output_tokens, image, ocr_page, …", show_default=False)
    ],
    usd: Annotated[
        str, typer.Argument(metavar="USD", help="US dollars per unit, for example 0.0000025.", show_default=False)
    ],
    valid_from: Annotated[
        str | None, typer.Option("--from", metavar="TIME", show_default="now", help="When the price takes effect.")
    ] = None,
    above_input_tokens: Annotated[
        int, typer.Option(metavar="TOKENS", min=0, help="Apply only to calls with more input tokens than this.")
    ] = 0,
    shared: Annotated[
        bool,
        typer.Option(
            "--shared",
            help="Set a shared price, for every organization without its own. Accesses the database directly.",
        ),
    ] = False,
    url: Url = None,
    api_key: ApiKey = None,
    as_json: Json = False,
) -> None:
    """Add a dated price for the organization. Earlier prices are kept; the latest one already in effect applies.

    Example: waybill prices set azure our-gpt-4o output_tokens 0.000009 --from 2027-01-01T00:00:00Z
    """
    output = Output(as_json=as_json)
    if shared:
        _set_shared_price(provider, model, unit, usd, valid_from, above_input_tokens, output)
        return
    with connect(url, api_key) as client:
        price = client.prices.set(
            provider, model, unit, usd, valid_from=valid_from, above_input_tokens=above_input_tokens
        )
    if as_json:
        output.document(price.as_json())
    else:
        output.show(price.id)
        output.note(f"{provider}/{model} {unit}: {_plain(price)} USD from {price.valid_from.isoformat()}", style="dim")


@app.command(epilog=EPILOG)
def seed(as_json: Json = False) -> None:
    """Load prices from the installed package genai-prices. Works offline; accesses the database directly.

    Safe to repeat: changed prices apply from now on, and shared prices set by an operator are kept.
    """
    output = Output(as_json=as_json)

    from core.kit.db import Database
    from core.ledger.prices.seed import seed_prices
    from waybill.cli.local import local_settings

    database = Database(local_settings(), application_name="waybill-cli", pool_size=1)
    try:
        with database.system() as session:
            done = seed_prices(session)
    finally:
        database.close()
    if as_json:
        output.document({"added": done.added, "unchanged": done.unchanged, "left_to_operator": done.left_to_operator})
        return
    output.show(f"{done.added:,} prices added; {done.unchanged:,} already there")
    if done.left_to_operator:
        output.note(f"{done.left_to_operator:,} kept as an operator set them", style="dim")


def _set_shared_price(
    provider: str, model: str, unit: str, usd: str, valid_from: str | None, above_input_tokens: int, output: Output
) -> None:
    from datetime import datetime

    from core.kit.clock import require_aware
    from core.kit.db import Database
    from core.kit.ids import PRICE, encode
    from core.ledger.prices.records import NewPrice
    from core.ledger.prices.service import set_shared_price
    from core.ledger.records import Unit
    from waybill.cli.local import local_settings

    try:
        begins = None if valid_from is None else require_aware(datetime.fromisoformat(valid_from))
        new = NewPrice(provider, model, Unit(unit), Decimal(usd), begins, above_input_tokens)
    except (ValueError, InvalidOperation) as error:
        remedy = f"units: {', '.join(Unit)}; a price as 0.0000025; a time as 2027-01-01T00:00:00Z"
        raise CliError(f"invalid price: {error}", remedy=remedy, code="bad_price", exit_code=Exit.USAGE) from error
    database = Database(local_settings(), application_name="waybill-cli", pool_size=1)
    try:
        with database.system() as session:
            price = set_shared_price(session, new)
    finally:
        database.close()
    if output.as_json:
        output.document({"id": encode(PRICE, price.id), "valid_from": price.valid_from.isoformat()})
    else:
        output.show(encode(PRICE, price.id))


def _plain(price: "Price") -> str:
    return f"{price.usd_per_unit:f}"
