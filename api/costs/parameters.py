"""Query parameters of the cost and usage routes: time, groups, project, format."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Literal
from uuid import UUID

from fastapi import Query, Request
from pydantic import BeforeValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

from api.deps import get_runtime
from api.problem import invalid
from api.routing import caller
from api.times import FORM
from core.keys.principal import Principal
from core.kit.clock import utc_now
from core.kit.ids import PROJECT, decode
from core.ledger.reports.costs import reach_of, report
from core.ledger.reports.records import GROUPINGS_MAX, Dimension, Grouping, Reach, Totals, Window

# Keys carry times from 1970 on, and Postgres compares a window's bounds with them.
_EARLIEST = datetime(1970, 1, 2, tzinfo=UTC)
_LATEST = datetime(9999, 12, 30, tzinfo=UTC)

MONTH = r"^(19[7-9][0-9]|[2-8][0-9]{3})-(0[1-9]|1[0-2])$"


def _parse_bound(value: object) -> object:
    if isinstance(value, str):
        try:
            if len(value) == len("2026-11-01"):
                return datetime.combine(date.fromisoformat(value), datetime.min.time(), UTC)
            if FORM.fullmatch(value):
                return datetime.fromisoformat(value.upper())
        except ValueError:
            pass
    raise PydanticCustomError(
        "day_or_time", "must be a day, 2026-11-01, or an RFC 3339 time with a zone, 2026-11-01T00:00:00Z"
    )


Bound = Annotated[
    datetime,
    BeforeValidator(_parse_bound),
    WithJsonSchema({"anyOf": [{"type": "string", "format": "date"}, {"type": "string", "format": "date-time"}]}),
]
From = Annotated[
    Bound | None,
    Query(alias="from", description="Jobs accepted at or after this time. Default: the first of the month."),
]
To = Annotated[
    Bound | None, Query(alias="to", description="Jobs accepted before this time. Default: the end of today (UTC).")
]
GroupBy = Annotated[
    list[str] | None,
    Query(
        max_length=GROUPINGS_MAX,
        description=(
            "One or more of `project`, `capability`, `model`, `model_version`, `deployment`, `provider`,"
            " `key`, `day` (UTC), `label:NAME`, separated by commas or repeated. Without it, the report has"
            " one line."
        ),
        examples=[["project", "day"]],
    ),
]
Project = Annotated[
    str | None,
    Query(
        max_length=100,
        description=(
            "Include only this project. Default: the key's project, or all projects with the scope `organization:read`."
        ),
        examples=["prj_01jd3q8v9tfq8a1b2c3d4e5f6g"],
    ),
]
Month = Annotated[
    str, Query(pattern=MONTH, description="A calendar month in UTC.", examples=["2026-11"], min_length=7, max_length=7)
]
Format = Annotated[
    Literal["json", "csv"] | None, Query(description="Response format. Overrides the `Accept` header. Default: JSON.")
]


def parse_window(begins: datetime | None, ends: datetime | None) -> Window:
    """The window of a request. Raises `Unprocessable` naming ``query.from`` unless it starts before it ends."""
    if ends is None:
        ends = utc_now().replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
    ends = _clamp(ends).astimezone(UTC)
    if begins is None:
        begins = (ends - timedelta(microseconds=1)).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    begins = _clamp(begins)
    if begins >= ends:
        message = "must be earlier than `to`, which is not included"
        raise invalid([{"path": "query.from", "code": "window_empty", "message": message}])
    return Window(begins, ends)


def parse_month(month: str) -> Window:
    """The window of a month that matched `MONTH`."""
    year, _, number = month.partition("-")
    return Window.month(int(year), int(number))


def parse_groupings(given: Sequence[str] | None) -> list[Grouping]:
    """The groupings of a request. Raises `Unprocessable` naming ``query.group_by``."""
    groupings: list[Grouping] = []
    words = [word.strip() for text in given or () for word in text.split(",")]
    for word in words:
        try:
            grouping = Grouping.parse(word)
        except ValueError as error:
            raise _wrong_group("group_unknown", str(error)) from None
        if grouping in groupings:
            raise _wrong_group("group_repeated", "name each group once")
        groupings.append(grouping)
    if {Dimension.MODEL, Dimension.PROVIDER} <= {grouping.dimension for grouping in groupings}:
        raise _wrong_group("group_repeated", "`model` includes the provider: leave out `provider`")
    if len(groupings) > GROUPINGS_MAX:
        raise _wrong_group("too_many_groups", f"at most {GROUPINGS_MAX}")
    return groupings


def parse_project(text: str | None) -> UUID | None:
    """The project of a request. Raises `Unprocessable` naming ``query.project``."""
    if text is None:
        return None
    try:
        return decode(PROJECT, text)
    except ValueError as error:
        raise invalid([{"path": "query.project", "code": "invalid_id", "message": str(error)}]) from None


def parse_reach(principal: Principal, project: str | None) -> Reach:
    """The project whose charges to report.

    Raises `Unprocessable`, or `ScopeMissing` for what the caller may not see.
    """
    return reach_of(principal, parse_project(project))


def prefers(request: Request, chosen: str | None, *offered: tuple[str, str]) -> str:
    """The response format among `offered` (names, media types): `chosen`, else by ``Accept``, else the first.

    The highest quality wins, then the order in which the client names them (RFC 9110, section 12.5.1).
    """
    if chosen is not None:
        return chosen
    wanted: list[tuple[float, int, str]] = []
    for position, item in enumerate(request.headers.get("accept", "").split(",")):
        media, *parameters = (part.strip().lower() for part in item.split(";"))
        quality = next((_quality(part[2:]) for part in parameters if part.startswith("q=")), 1.0)
        wanted.extend((-quality, position, name) for name, kind in offered if kind == media and quality > 0)
    return min(wanted)[2] if wanted else offered[0][0]


def _quality(text: str) -> float:
    try:
        return min(max(float(text), 0.0), 1.0)
    except ValueError:
        return 0.0


def _wrong_group(code: str, message: str) -> Exception:
    return invalid([{"path": "query.group_by", "code": code, "message": message}])


def _clamp(moment: datetime) -> datetime:
    return min(max(moment, _EARLIEST), _LATEST)


async def read_lines(
    request: Request, group_by: GroupBy, begins: From, ends: To, project: Project, *, with_quantities: bool = False
) -> tuple[Window, list[Grouping], list[Totals]]:
    """The lines of a report: what the caller may see of the window, by its groups. Raises `Unprocessable`."""
    window, groupings = parse_window(begins, ends), parse_groupings(group_by)
    runtime, reach = get_runtime(request), parse_reach(caller(request), project)
    session = runtime.database.single_tenant(reach.organization_id)
    lines = await runtime.in_thread(report, session, reach, window, groupings, with_quantities=with_quantities)
    return window, groupings, lines
