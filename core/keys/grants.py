"""Which rights may be passed on: no one grants, takes over or revokes more than they hold."""

from collections.abc import Iterable

from core.keys.errors import ScopeExceeded
from core.keys.principal import Principal
from core.keys.scopes import split


def require_covers(principal: Principal, stored: Iterable[str], what: str) -> None:
    """Raise `ScopeExceeded` unless the caller holds every scope and capability in `stored`, a key's or role's list.

    `what` completes the sentence "you cannot …".
    """
    scopes, capabilities = split(stored)
    lacking = sorted(scopes - principal.scopes)
    if principal.capabilities is not None:
        wanted = capabilities if capabilities is not None else frozenset({"*"})
        lacking += sorted(f"capability:{each}" for each in wanted - principal.capabilities)
    if lacking:
        raise ScopeExceeded(f"you cannot {what}: you lack {', '.join(lacking)}", scopes=lacking)
