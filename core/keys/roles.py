"""Roles: what a member may do. The table here is the definition; ``docs/reference/scopes.md`` repeats it."""

from collections.abc import Iterable, Mapping
from enum import StrEnum

from core.keys.scopes import SCOPES


class Role(StrEnum):
    """A member's role; each is a set of scopes."""

    OWNER = "owner"
    ADMIN = "admin"
    DEVELOPER = "developer"
    OPERATOR = "operator"
    AUDITOR = "auditor"

    @property
    def scopes(self) -> frozenset[str]:
        """The scopes of the role."""
        return ROLES[self]


# Writing a version and deploying it are separate duties: a developer does one, an operator the other, an admin both.
# Only owners change prices and erase from the audit trail; no one can grant rights they do not hold, so an admin cannot
# make an owner.
_TABLE = """
                    owner  admin  developer  operator  auditor
jobs:read             x      x        x         x         x
jobs:write            x      x        x         x         .
jobs:answer           x      x        x         x         .
knowledge:read        x      x        x         x         x
knowledge:write       x      x        x         .         .
files:read            x      x        x         x         x
files:write           x      x        x         .         .
customers:verify      x      x        x         x         .
projects:read         x      x        x         x         x
projects:write        x      x        .         .         .
keys:read             x      x        x         x         x
keys:write            x      x        x         .         .
members:read          x      x        x         x         x
members:write         x      x        .         .         .
budgets:read          x      x        x         x         x
budgets:write         x      x        .         .         .
costs:read            x      x        x         x         x
costs:write           x      x        .         .         .
prices:read           x      x        x         x         x
prices:write          x      .        .         .         .
audit:read            x      x        .         x         x
audit:write           x      .        .         .         .
models:read           x      x        x         x         x
models:write          x      x        x         .         .
models:promote        x      x        .         x         .
limits:read           x      x        x         x         x
limits:write          x      x        .         x         .
retention:read        x      x        x         x         x
retention:write       x      x        .         .         .
guard:read            x      x        x         x         x
guard:write           x      x        .         .         .
guard:screen          x      x        x         x         .
experiments:read      x      x        x         x         x
experiments:write     x      x        x         x         .
quality:read          x      x        x         x         x
quality:write         x      x        x         x         .
webhooks:read         x      x        x         x         x
webhooks:write        x      x        x         x         .
organization:read     x      x        x         x         x
"""


def _read(table: str) -> Mapping[Role, frozenset[str]]:
    head, *lines = (line.split() for line in table.strip().splitlines())
    if {line[0] for line in lines} != set(SCOPES) or [*head] != [*Role] or len({len(line) for line in lines}) != 1:
        raise RuntimeError("the table of roles must name every scope and every role once")
    columns = {Role(name): position for position, name in enumerate(head, start=1)}
    return {role: frozenset(line[0] for line in lines if line[at] == "x") for role, at in columns.items()}


ROLES: Mapping[Role, frozenset[str]] = _read(_TABLE)


def scopes_of(roles: Iterable[Role]) -> frozenset[str]:
    """The scopes of a person with all of `roles`."""
    return frozenset().union(*(ROLES[role] for role in roles))
