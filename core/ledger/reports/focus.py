"""Export in the columns of FinOps FOCUS 1.4, dataset "Cost and Usage" (focus.finops.org).

One line per kind of quantity of a call. The part of a call's amount that no kind explains (a call settled at its bound
because its worker was lost, a correction of money only) gets its own line, so that the costs of an export match the
ledger to the last digit. ``docs/reference/costs.md`` explains each column.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from functools import lru_cache

from core.kit.db import Executor
from core.kit.ids import JOB, KEY, ORGANIZATION, PROJECT, encode
from core.kit.json_values import dumps
from core.kit.money import ZERO
from core.ledger.records import Unit
from core.ledger.reports import repository
from core.ledger.reports.delimited import to_csv, utc_text
from core.ledger.reports.records import Charge, EntryKey, Reach, Window

VERSION = "1.4"
COLUMNS = (
    "BilledCost",
    "BillingAccountId",
    "BillingAccountName",
    "BillingCurrency",
    "BillingPeriodEnd",
    "BillingPeriodStart",
    "ChargeCategory",
    "ChargeClass",
    "ChargeDescription",
    "ChargeFrequency",
    "ChargePeriodEnd",
    "ChargePeriodStart",
    "ConsumedQuantity",
    "ConsumedUnit",
    "ContractedCost",
    "EffectiveCost",
    "HostProviderName",
    "InvoiceIssuerName",
    "ListCost",
    "PricingQuantity",
    "PricingUnit",
    "ServiceCategory",
    "ServiceName",
    "ServiceProviderName",
    "ServiceSubcategory",
    "SubAccountId",
    "SubAccountName",
    "Tags",
    "x_JobId",
    "x_Attempt",
    "x_Call",
    "x_Entry",
    "x_Capability",
    "x_Step",
    "x_KeyId",
    "x_ModelVersion",
    "x_QuantityKind",
    "x_Estimated",
    "x_Reason",
    "x_RecordedAt",
    "x_Priced",
)

_PAGE = 2_000
_ISSUER = "Waybill"
_UNITS: Mapping[str, str] = {
    Unit.IMAGE: "Images",
    Unit.AUDIO_SECOND: "Seconds",
    Unit.OCR_PAGE: "Pages",
    Unit.WORKER_SECOND: "Seconds",
}
_TOKENS = "Tokens"
_WHOLE_CALL = "Calls"


def export_pages(
    session: Executor, reach: Reach, window: Window, *, after: EntryKey | None = None
) -> Iterator[tuple[str, EntryKey | None]]:
    """The export as CSV text, the header first, a page of ledger lines at a time; memory stays bounded.

    Each page is one statement, so `session` may be one that holds no transaction open in between.
    """
    if after is None:
        yield to_csv([COLUMNS]), None
    while page := repository.charges(session, reach, window, after=after, limit=_PAGE):
        after = page[-1].key
        yield to_csv(tuple(line[column] for column in COLUMNS) for line in lines_of(page)), after
        if len(page) < _PAGE:
            return


def lines_of(charges: Iterable[Charge]) -> Iterator[dict[str, object]]:
    """The charges as FOCUS rows by column; a null is None."""
    for charge in charges:
        explained = ZERO
        common = _common(charge)
        for kind, amount in charge.quantities.items():
            quantity, cost = Decimal(str(amount)), Decimal(str(charge.amounts.get(kind, 0)))
            explained += cost
            if quantity or cost:
                yield {
                    **common,
                    **_costs(cost),
                    **_quantity(quantity, _UNITS.get(kind, _TOKENS)),
                    **_description(charge, kind),
                    "x_Priced": kind in charge.amounts,
                }
        rest = charge.amount_usd - explained
        if rest:
            # Usage must have a quantity, so the whole call is one; a correction of money only has none.
            whole = _quantity(None, None) if charge.is_correction else _quantity(Decimal(1), _WHOLE_CALL)
            yield {**common, **_costs(rest), **whole, **_description(charge, None), "x_Priced": True}


def _common(charge: Charge) -> dict[str, object]:
    return {
        **_periods(charge.accepted_on),
        "BillingAccountId": _id(ORGANIZATION, charge.organization_id),
        "BillingAccountName": charge.organization,
        "BillingCurrency": "USD",
        "ChargeCategory": "Usage",
        "ChargeClass": "Correction" if charge.is_correction else None,
        "ChargeFrequency": "Usage-Based",
        "HostProviderName": charge.provider,
        "InvoiceIssuerName": _ISSUER,
        "ServiceCategory": "AI and Machine Learning",
        "ServiceName": charge.model,
        "ServiceProviderName": charge.provider,
        "ServiceSubcategory": "Generative AI",
        "SubAccountId": _id(PROJECT, charge.project_id),
        "SubAccountName": charge.project,
        "Tags": dumps(dict(charge.labels), sort_keys=True).decode() if charge.labels else None,
        "x_JobId": _id(JOB, charge.key.job_id),
        "x_Attempt": charge.key.attempt,
        "x_Call": charge.key.call,
        "x_Entry": charge.key.entry,
        "x_Capability": charge.capability,
        "x_Step": charge.step,
        "x_KeyId": None if charge.key_id is None else _id(KEY, charge.key_id),
        "x_ModelVersion": charge.model_version,
        "x_Estimated": charge.estimated,
        "x_Reason": charge.reason,
        "x_RecordedAt": utc_text(charge.recorded_at),
    }


# A page repeats few organizations, projects, keys and days many times.
_id = lru_cache(maxsize=1024)(encode)


@lru_cache(maxsize=1024)
def _periods(accepted_on: date) -> Mapping[str, object]:
    day = datetime.combine(accepted_on, time(), UTC)
    month = Window.month(day.year, day.month)
    return {
        "BillingPeriodStart": utc_text(month.begins),
        "BillingPeriodEnd": utc_text(month.ends),
        "ChargePeriodStart": utc_text(day),
        "ChargePeriodEnd": utc_text(day + timedelta(days=1)),
    }


def _costs(cost: Decimal) -> dict[str, object]:
    # The billed prices are the list prices: there are no discounts, commitments or negotiated prices.
    return dict.fromkeys(("BilledCost", "ContractedCost", "EffectiveCost", "ListCost"), cost)


def _quantity(quantity: Decimal | None, unit: str | None) -> dict[str, object]:
    return {"ConsumedQuantity": quantity, "ConsumedUnit": unit, "PricingQuantity": quantity, "PricingUnit": unit}


def _description(charge: Charge, kind: str | None) -> dict[str, object]:
    what = kind.replace("_", " ") if kind else "amount without quantities"
    described = f"{charge.capability} on {charge.provider}/{charge.model}: {what}"
    return {"ChargeDescription": described, "x_QuantityKind": kind}
