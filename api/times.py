"""Times in requests: RFC 3339 text with a zone, and nothing else that a lenient parser would accept."""

import re
from datetime import UTC, datetime
from typing import Annotated

from pydantic import AfterValidator, AwareDatetime, BeforeValidator
from pydantic_core import PydanticCustomError

FORM = re.compile(r"\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}:\d{2}(\.\d{1,9})?([Zz]|[+-]\d{2}:\d{2})", re.ASCII)


def _require_text(value: object) -> object:
    if isinstance(value, str) and FORM.fullmatch(value):
        return value
    raise PydanticCustomError("rfc3339_time", "must be an RFC 3339 time with a zone, for example 2026-11-23T05:00:00Z")


Moment = Annotated[AwareDatetime, BeforeValidator(_require_text)]


# Far below Python's maximum, so that a time computed by adding to it can be read again.
_LATEST = datetime(9000, 1, 1, tzinfo=UTC)


def _require_reachable(value: datetime) -> datetime:
    if value < _LATEST:
        return value
    raise PydanticCustomError("time_too_late", "must be before the year 9000")


Schedule = Annotated[Moment, AfterValidator(_require_reachable)]
