"""Parameters as the API takes them."""

from datetime import datetime
from decimal import Decimal
from typing import Any


def given(**values: Any) -> dict[str, Any]:
    """Those of `values` that are not None; times as RFC 3339 text, decimals as text.

    Raises ValueError for a time without a zone, since it names no moment.
    """
    return {name: _plain(value) for name, value in values.items() if value is not None}


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise ValueError(f"{value} has no time zone")
        return value.isoformat()
    return str(value) if isinstance(value, Decimal) else value
