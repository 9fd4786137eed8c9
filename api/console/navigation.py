"""The console's sections, in the order in which they are shown."""

from dataclasses import dataclass
from functools import cache

from fastapi import FastAPI
from starlette.routing import Route

from core.keys.principal import Principal


@dataclass(frozen=True, slots=True)
class Section:
    """A link of the navigation: shown to those who hold `scope`, which must be that of its page."""

    title: str
    path: str
    scope: str


# A section appears as soon as a page is served at its path.
SECTIONS = (
    Section("Jobs", "/console/jobs", "jobs:read"),
    Section("Approvals", "/console/approvals", "jobs:read"),
    Section("Overview", "/console/overview", "costs:read"),
    Section("Money", "/console/money", "costs:read"),
    Section("Quality", "/console/quality", "quality:read"),
    Section("Knowledge", "/console/knowledge", "knowledge:read"),
    Section("Playground", "/console/playground", "jobs:read"),
    Section("Admin", "/console/admin", "organization:read"),
)


def sections_of(app: FastAPI, principal: Principal) -> list[Section]:
    """The sections that the caller may open."""
    return [each for each in _served(app) if each.scope in principal.scopes]


@cache
def _served(app: FastAPI) -> tuple[Section, ...]:
    paths = {route.path for route in app.routes if isinstance(route, Route)}
    return tuple(each for each in SECTIONS if each.path in paths)
