"""The filter of the pages of spending, as it stands in their addresses. An empty field filters nothing."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Annotated

from fastapi import Depends, Query
from pydantic import BeforeValidator

from api.costs.parameters import parse_window
from core.ledger.reports.records import GROUPINGS_MAX, Window

Day = Annotated[date | None, BeforeValidator(lambda given: given or None)]


@dataclass(frozen=True, slots=True)
class Chosen:
    """The window, the groups as they were written, and the project's id."""

    window: Window
    group_by: tuple[str, ...]
    project: str | None

    @property
    def last(self) -> date:
        """The last day of the window."""
        return (self.window.ends - timedelta(microseconds=1)).date()


def _chosen(
    begins: Annotated[Day, Query(alias="from", description="First day, UTC. Default: the first of the month.")] = None,
    last: Annotated[Day, Query(description="Last day, UTC. Default: today.")] = None,
    group_by: Annotated[list[str] | None, Query(max_length=GROUPINGS_MAX, description="As for `/v1/costs`.")] = None,
    project: Annotated[str, Query(max_length=100, description="Only this project.")] = "",
) -> Chosen:
    after = None if last is None or last == date.max else _midnight(last) + timedelta(days=1)
    window = parse_window(None if begins is None else _midnight(begins), after)
    return Chosen(window, tuple(each.strip() for each in group_by or () if each.strip()), project.strip() or None)


Filter = Annotated[Chosen, Depends(_chosen)]


def _midnight(day: date) -> datetime:
    return datetime.combine(day, datetime.min.time(), UTC)
