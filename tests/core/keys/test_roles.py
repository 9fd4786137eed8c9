import pytest

from core.keys.errors import ScopeExceeded
from core.keys.grants import require_covers
from core.keys.principal import Principal
from core.keys.roles import ROLES, Role, scopes_of
from core.keys.scopes import SCOPES, WORKING_SCOPES, resolve, split
from core.kit.errors import Unprocessable
from core.kit.ids import new_id


def principal(*scopes: str) -> Principal:
    held, capabilities = split(scopes)
    return Principal(new_id(), new_id(), None, held, capabilities=capabilities)


def test_an_owner_may_everything_and_an_auditor_changes_nothing() -> None:
    assert ROLES[Role.OWNER] == set(SCOPES)
    assert ROLES[Role.AUDITOR] == {scope for scope in SCOPES if scope.endswith(":read")}
    assert ROLES[Role.ADMIN] < ROLES[Role.OWNER]
    assert scopes_of(Role) == set(SCOPES)


def test_working_scopes_administer_nothing() -> None:
    assert {scope.partition(":")[0] for scope in WORKING_SCOPES} == {"files", "jobs", "knowledge"}
    assert set(WORKING_SCOPES) <= ROLES[Role.DEVELOPER]


def test_a_list_of_scopes_is_completed_and_taken_apart() -> None:
    assert resolve(()) == tuple(sorted(WORKING_SCOPES))
    assert resolve(["jobs:read", "jobs:read"]) == ("jobs:read",)
    narrowed = resolve(["capability:knowledge.search"])
    assert split(narrowed) == (frozenset(WORKING_SCOPES), frozenset({"knowledge.search"}))
    assert split(["jobs:read"]) == (frozenset({"jobs:read"}), None)
    for wrong in ("jobs", "jobs:admin", "capability:", "capability:search", "capability:a.b.c", "capability:*.*"):
        with pytest.raises(Unprocessable):
            resolve([wrong])


@pytest.mark.parametrize(
    ("held", "wanted", "allowed"),
    [
        (("jobs:read", "jobs:write"), ("jobs:read",), True),
        (("jobs:read",), ("jobs:write",), False),
        (("jobs:read",), ("jobs:read", "capability:a.b"), True),
        (("jobs:read", "capability:a.b"), ("jobs:read", "capability:a.b"), True),
        (("jobs:read", "capability:a.b"), ("jobs:read", "capability:a.c"), False),
        (("jobs:read", "capability:a.b"), ("jobs:read",), False),
    ],
)
def test_no_one_hands_on_more_than_they_hold(held: tuple[str, ...], wanted: tuple[str, ...], allowed: bool) -> None:
    if allowed:
        require_covers(principal(*held), wanted, "do it")
        return
    with pytest.raises(ScopeExceeded) as refused:
        require_covers(principal(*held), wanted, "do it")
    assert refused.value.extra["scopes"]
