"""Reports of costs."""

from decimal import Decimal

from waybill.client.models.base import Resource


class CostLine(Resource):
    """What a group cost; a group's members are what was grouped by."""

    group: dict[str, str | None]
    amount_usd: Decimal | None
    calls: int = 0
    jobs: int = 0
    unpriced_calls: int = 0


class CostTotal(Resource):
    """The sum of all lines."""

    amount_usd: Decimal | None
    calls: int = 0
    unpriced_calls: int = 0


class CostReport(Resource):
    """Costs by group."""

    group_by: list[str]
    data: list[CostLine]
    total: CostTotal


class UsageLine(Resource):
    """What a group used, by kind."""

    group: dict[str, str | None]
    quantities: dict[str, Decimal]
    calls: int = 0
    jobs: int = 0


class UsageReport(Resource):
    """Usage by group."""

    group_by: list[str]
    data: list[UsageLine]
