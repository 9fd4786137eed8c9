"""Scopes: what a caller may do, from one closed list, and which capabilities it may use.

A key stores both in one list: ``jobs:write`` is a scope, ``capability:knowledge.search`` restricts it to a capability.
Without any such restriction a key may use every capability.
"""

import re
from collections.abc import Iterable

from core.kit.errors import Unprocessable

SCOPES = (
    "jobs:read",
    "jobs:write",
    "jobs:answer",
    "knowledge:read",
    "knowledge:write",
    "files:read",
    "files:write",
    "customers:verify",
    "projects:read",
    "projects:write",
    "keys:read",
    "keys:write",
    "members:read",
    "members:write",
    "budgets:read",
    "budgets:write",
    "costs:read",
    "costs:write",
    "prices:read",
    "prices:write",
    "audit:read",
    "audit:write",
    "models:read",
    "models:write",
    "models:promote",
    "limits:read",
    "limits:write",
    "retention:read",
    "retention:write",
    "guard:read",
    "guard:write",
    "guard:screen",
    "experiments:read",
    "experiments:write",
    "quality:read",
    "quality:write",
    "webhooks:read",
    "webhooks:write",
    "organization:read",
)
# With it, what is read for one project may be read for any project of the organization.
WHOLE_ORGANIZATION = "organization:read"
# The default scopes of a key: enough to work, none that administers.
WORKING_SCOPES = ("jobs:read", "jobs:write", "knowledge:read", "knowledge:write", "files:read", "files:write")

_CAPABILITY = "capability:"
_CAPABILITY_FORM = re.compile(r"capability:[a-z][a-z0-9_]{0,63}\.[a-z][a-z0-9_]{0,63}", re.ASCII)


def resolve(wanted: Iterable[str]) -> tuple[str, ...]:
    """`wanted` as a key stores it: sorted, without duplicates, never empty.

    An empty list, or one of only capabilities, gets the default scopes. Raises `Unprocessable` naming an unknown scope.
    """
    chosen = set(wanted)
    narrowing = {each for each in chosen if each.startswith(_CAPABILITY)}
    wrong = sorted({each for each in narrowing if _CAPABILITY_FORM.fullmatch(each) is None})
    unknown = sorted(chosen - narrowing - set(SCOPES))
    if wrong or unknown:
        message = (
            f"not a scope: {', '.join([*unknown, *wrong])}; choose from {', '.join(SCOPES)}, and narrow with"
            " capability:<id>, for example capability:knowledge.search"
        )
        raise Unprocessable(message, errors=[{"path": "body.scopes", "code": "scope_unknown", "message": message}])
    return tuple(sorted(chosen | set(WORKING_SCOPES) if chosen == narrowing else chosen))


def split(stored: Iterable[str]) -> tuple[frozenset[str], frozenset[str] | None]:
    """The scopes and the capabilities in a key's list; None for the capabilities means all of them."""
    scopes, capabilities = set(), set()
    for each in stored:
        if each.startswith(_CAPABILITY):
            capabilities.add(each.removeprefix(_CAPABILITY))
        else:
            scopes.add(each)
    return frozenset(scopes), frozenset(capabilities) or None
