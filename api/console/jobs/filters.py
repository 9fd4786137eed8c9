"""The filters of the list of jobs, as they stand in its address."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any
from uuid import UUID

from fastapi import Depends, Query

from api.jobs.routes import parse_job_project
from api.problem import invalid
from core.jobs.records import JobFilter
from core.jobs.states import JobState
from core.kit.clock import utc_now
from core.kit.ids import KEY, decode

SINCE = {
    "1h": timedelta(hours=1),
    "24h": timedelta(hours=24),
    "7d": timedelta(days=7),
    "30d": timedelta(days=30),
}
_TEXT_MAX = 600
_USD_MAX = Decimal(1_000_000)
_SECONDS_MAX = 366 * 86_400.0

_Text = Annotated[str, Query(max_length=_TEXT_MAX)]


@dataclass(frozen=True, slots=True)
class Filters:
    """What was chosen, as texts; empty ones filter nothing."""

    state: tuple[str, ...]
    capability: str
    reason: str
    model: str
    key: str
    label: str
    min_cost: str
    min_seconds: str
    since: str
    project: str

    @property
    def is_any(self) -> bool:
        """Whether anything is filtered."""
        return any((self.state, self.capability, self.reason, self.model, self.key, self.label)) or any(
            (self.min_cost, self.min_seconds, self.since, self.project)
        )

    def parse(self) -> JobFilter:
        """The filter of the services. Raises `Unprocessable` naming the field that is not valid."""
        return JobFilter(
            states=_states(self.state),
            capability=self.capability or None,
            reason=self.reason or None,
            model=self.model or None,
            key_id=_key(self.key),
            metadata=_label(self.label),
            min_cost_usd=_number("min_cost", self.min_cost, _USD_MAX),
            min_seconds=_seconds(self.min_seconds),
            created_after=_after(self.since),
            project=parse_job_project(self.project or None),
        )


def _filters(  # noqa: PLR0917 - the framework passes them by name
    state: Annotated[Sequence[str], Query(max_length=20)] = (),
    capability: _Text = "",
    reason: _Text = "",
    model: _Text = "",
    key: _Text = "",
    label: _Text = "",
    min_cost: _Text = "",
    min_seconds: _Text = "",
    since: _Text = "",
    project: _Text = "",
) -> Filters:
    chosen = tuple(each for each in state if each)
    texts = (each.strip() for each in (capability, reason, model, key, label, min_cost, min_seconds, since, project))
    return Filters(chosen, *texts)


Chosen = Annotated[Filters, Depends(_filters)]


def _states(chosen: Sequence[str]) -> tuple[JobState, ...]:
    try:
        return tuple(JobState(each) for each in chosen)
    except ValueError:
        raise _refuse("state", f"one of {', '.join(JobState)}") from None


def _key(given: str) -> UUID | None:
    try:
        return decode(KEY, given) if given else None
    except ValueError:
        raise _refuse("key", "the id of a key: key_…") from None


def _label(given: str) -> dict[str, str]:
    if not given:
        return {}
    name, equals, value = given.partition("=")
    if not name or not equals:
        raise _refuse("label", "written name=value")
    return {name: value}


def _number(name: str, given: str, most: Decimal) -> Decimal | None:
    if not given:
        return None
    try:
        value = Decimal(given)
    except InvalidOperation:
        value = Decimal(-1)
    if not value.is_finite() or not 0 <= value <= most:
        raise _refuse(name, f"a number from 0 to {most}")
    return value


def _seconds(given: str) -> float | None:
    value = _number("min_seconds", given, Decimal(_SECONDS_MAX))
    return None if value is None else float(value)


def _after(given: str) -> datetime | None:
    if not given:
        return None
    if given not in SINCE:
        raise _refuse("since", f"one of {', '.join(SINCE)}")
    return utc_now() - SINCE[given]


def _refuse(name: str, what: str) -> Any:
    return invalid([{"path": f"query.{name}", "code": "invalid_filter", "message": f"must be {what}"}])
