"""Tokens and money, as the ledger settles them, and what budgets have left.

The ledger is exact and these are floating-point numbers: bill by the ledger, watch with these.
"""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from uuid import UUID

from core.kit.ids import ORGANIZATION, encode
from core.kit.metrics.families import BoundedLabel, counter, gauge
from core.kit.metrics.jobs import outcome_of
from core.kit.metrics.models import MODEL_LABELS, ModelLabels

TOKENS = counter(
    "waybill_tokens",
    "Tokens and other units of settled calls, by kind. Each token counts in exactly one kind.",
    ("capability", *MODEL_LABELS, "kind"),
    by=("worker",),
)
SPEND = counter(
    "waybill_spend_usd",
    "US dollars of settled calls, without those settled for lost workers (waybill_swept_calls_total).",
    ("capability", *MODEL_LABELS),
    by=("worker",),
)
UNPRICED_CALLS = counter(
    "waybill_unpriced_calls",
    "Settled calls with a part that has no price and is not in their amount.",
    ("provider", "model"),
    by=("worker",),
)
SWEPT_CALLS = counter(
    "waybill_swept_calls",
    "Calls of lost workers, settled by the dispatcher.",
    by=("dispatcher",),
)
ORGANIZATION_SPEND = counter(
    "waybill_organization_spend_usd",
    "US dollars of settled calls, for the organizations in WAYBILL_METRICS_ORGANIZATIONS.",
    ("organization", "capability"),
    by=("worker",),
)
ORGANIZATION_ATTEMPTS = counter(
    "waybill_organization_job_attempts",
    "Ended attempts, for the organizations in WAYBILL_METRICS_ORGANIZATIONS.",
    ("organization", "capability", "outcome"),
    by=("worker",),
)
BUDGETS = gauge(
    "waybill_budgets",
    "Budgets in force by what is left in their period: exhausted, under_20 or under_50 percent, or ample; hard ones"
    " stop jobs.",
    ("band", "hard"),
    by=("dispatcher",),
    mode="mostrecent",
)
BUDGETS_EXHAUSTING_SOON = gauge(
    "waybill_budgets_exhausting_soon",
    "Hard budgets that are forecast to be exhausted within 24 hours.",
    by=("dispatcher",),
    mode="mostrecent",
)
ORGANIZATION_HEADROOM = gauge(
    "waybill_organization_budget_headroom_ratio",
    "The least that any budget of the organization has left, as a share of its limit, 0 to 1; of the organizations that"
    " WAYBILL_METRICS_ORGANIZATIONS names.",
    ("organization",),
    by=("dispatcher",),
    mode="mostrecent",
)
RESERVATIONS_OPEN = gauge(
    "waybill_reservations_open", "Job trees for which money is set aside.", by=("dispatcher",), mode="mostrecent"
)
RESERVED = gauge(
    "waybill_reserved_usd",
    "US dollars reserved for open job trees and not settled yet.",
    by=("dispatcher",),
    mode="mostrecent",
)
INVARIANT_VIOLATIONS = gauge(
    "waybill_invariant_violations",
    "Mismatches between balances, reservations, ledger and audit trail, at the last check.",
    by=("dispatcher",),
    mode="max",
)


_kinds = BoundedLabel()
_named: dict[UUID, str] = {}


def name_organizations(organizations: Iterable[UUID]) -> None:
    """Count these organizations by their ids from now on, and no others."""
    _named.clear()
    _named.update((each, encode(ORGANIZATION, each)) for each in organizations)


def name_of(organization_id: UUID) -> str | None:
    """The label of an organization that the operator named; None for any other."""
    return _named.get(organization_id)


def observe_spend(
    organization_id: UUID,
    capability: str,
    model: ModelLabels,
    quantities: Mapping[str, int],
    amount_usd: Decimal,
    *,
    is_priced: bool,
) -> None:
    """Count the consumption and cost of a settled call."""
    for kind, amount in quantities.items():
        TOKENS.labels(capability, *model, _kinds.of(kind)).inc(amount)
    SPEND.labels(capability, *model).inc(float(amount_usd))
    if not is_priced:
        UNPRICED_CALLS.labels(model.provider, model.model).inc()
    if (named := _named.get(organization_id)) is not None:
        ORGANIZATION_SPEND.labels(named, capability).inc(float(amount_usd))


def observe_attempt_of(organization_id: UUID, capability: str, event_type: str) -> None:
    """Count an attempt that ended with the event `event_type`, if the operator named its organization."""
    if (named := _named.get(organization_id)) is not None:
        ORGANIZATION_ATTEMPTS.labels(named, capability, outcome_of(event_type)).inc()
