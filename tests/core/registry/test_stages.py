"""Promotion, rollback, retirement: in sequence, at once, and by people who were wrong about the champion."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from itertools import pairwise

import pytest

from core.keys.principal import Principal
from core.kit.errors import WaybillError
from core.kit.ids import new_id
from core.registry.errors import (
    ChampionChanged,
    ChampionInUse,
    ModelNotFound,
    NoPreviousChampion,
    SharedReadOnly,
    VersionNotFound,
    VersionPinned,
    VersionRetired,
)
from core.registry.records import Cause, Owner, Stage, StageChange
from core.registry.stages.lineage import previous, reign
from tests.core.registry.conftest import Tenant, new_tenant

V = [new_id() for _ in range(4)]


def changes(*acts: str) -> list[StageChange]:
    """``+1`` is a promotion of version 1, ``-1`` a rollback to it."""
    return [
        StageChange(
            new_id(),
            number,
            V[int(act[1])],
            int(act[1]),
            Stage.CHAMPION,
            Cause.PROMOTED if act[0] == "+" else Cause.ROLLED_BACK,
            "",
            "key",
            None,
            datetime.now(UTC),
        )
        for number, act in enumerate(acts)
    ]


@pytest.mark.parametrize(
    ("acts", "retired", "stack", "back_to"),
    [
        ((), (), [], None),
        (("+1",), (), [1], None),
        (("+1", "+2"), (), [1, 2], 1),
        (("+1", "+2", "-1"), (), [1], None),
        (("+1", "+2", "+3", "-2"), (), [1, 2], 1),
        (("+1", "+2", "+3", "-2", "-1"), (), [1], None),
        (("+1", "+2", "-1", "+2"), (), [1, 2], 1),
        (("+1", "+2", "-1", "+3"), (), [1, 3], 1),
        (("+1", "+2", "+1"), (), [1, 2, 1], 2),
        (("+1", "+2", "+3"), (2,), [1, 2, 3], 1),
        (("+1", "+2", "+3", "-1"), (2,), [1], None),
        (("+1", "+2", "+1"), (2,), [1, 2, 1], None),
        (("+1", "+2"), (1,), [1, 2], None),
    ],
)
def test_the_lineage_of_champions(
    acts: tuple[str, ...], retired: tuple[int, ...], stack: list[int], back_to: int | None
) -> None:
    made = changes(*acts)
    assert reign(made) == [V[number] for number in stack]
    assert previous(made, {V[number] for number in retired}) == (None if back_to is None else V[back_to])


def test_versions_are_promoted_rolled_back_retired_and_restored(tenant: Tenant) -> None:
    model = tenant.model("writer", 3)
    assert model.champion is None
    with pytest.raises(NoPreviousChampion):
        tenant.rollback(model)
    assert [tenant.promote(model, number).champion for number in (1, 2, 3)] == [1, 2, 3]
    assert tenant.promote(model, 3).champion == 3
    with pytest.raises(ChampionInUse):
        tenant.retire(model, 3)
    assert tenant.rollback(model).champion == 2
    assert tenant.rollback(model).champion == 1
    with pytest.raises(NoPreviousChampion):
        tenant.rollback(model)
    assert tenant.retire(model, 3).stage is Stage.RETIRED
    assert tenant.retire(model, 3).stage is Stage.RETIRED
    with pytest.raises(VersionRetired):
        tenant.promote(model, 3)
    assert tenant.restore(model, 3).stage is Stage.CANDIDATE
    assert tenant.restore(model, 3).stage is Stage.CANDIDATE
    assert tenant.promote(model, 3).champion == 3
    assert tenant.rollback(model).champion == 1
    assert tenant.history(model) == [
        (number, version, cause)
        for number, (version, cause) in enumerate(
            [
                *((each, "created") for each in (1, 2, 3)),
                (1, "promoted"),
                *((1, "superseded"), (2, "promoted")),
                *((2, "superseded"), (3, "promoted")),
                *((3, "superseded"), (2, "rolled_back")),
                *((2, "superseded"), (1, "rolled_back")),
                (3, "retired"),
                (3, "restored"),
                *((1, "superseded"), (3, "promoted")),
                *((3, "superseded"), (1, "rolled_back")),
            ],
            start=1,
        )
    ]


def test_a_rollback_passes_versions_that_are_retired(tenant: Tenant) -> None:
    model = tenant.model("writer", 3)
    for number in (1, 2, 3):
        tenant.promote(model, number)
    tenant.retire(model, 2)
    assert tenant.rollback(model).champion == 1


def test_a_caller_who_is_wrong_about_the_champion_changes_nothing(tenant: Tenant) -> None:
    model = tenant.model("writer", 3)
    tenant.promote(model, 1)
    tenant.promote(model, 2, expected=1)
    before = tenant.history(model)
    with pytest.raises(ChampionChanged) as raised:
        tenant.promote(model, 3, expected=1)
    assert raised.value.extra["champion"] == 2
    with pytest.raises(ChampionChanged):
        tenant.rollback(model, expected=3)
    assert tenant.history(model) == before


def test_promotions_at_once_leave_one_champion_and_a_clear_history(tenant: Tenant) -> None:
    model = tenant.model("writer", 8)
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda number: tenant.promote(model, number), range(1, 9)))
    history = tenant.history(model)
    assert [number for number, _, _ in history] == list(range(1, len(history) + 1))
    acts = [(version, cause) for _, version, cause in history if cause != "created"]
    promoted = [version for version, cause in acts if cause == "promoted"]
    assert sorted(promoted) == list(range(1, 9))
    # Each is superseded by the next, with nothing in between.
    expected = [(promoted[0], "promoted")]
    for before, after in pairwise(promoted):
        expected += [(before, "superseded"), (after, "promoted")]
    assert acts == expected
    assert tenant.champion(model) == promoted[-1]


def test_rollbacks_at_once_of_one_champion_go_back_once(tenant: Tenant) -> None:
    model = tenant.model("writer", 4)
    for number in range(1, 5):
        tenant.promote(model, number)

    def roll_back(_: int) -> str:
        try:
            return str(tenant.rollback(model, expected=4).champion)
        except ChampionChanged as refused:
            return refused.code

    with ThreadPoolExecutor(6) as threads:
        raised = sorted(threads.map(roll_back, range(6)))
    assert raised == ["3", *["champion_changed"] * 5]
    assert tenant.champion(model) == 3


def test_versions_added_at_once_are_numbered_without_gaps(tenant: Tenant) -> None:
    model = tenant.model("writer")
    with ThreadPoolExecutor(8) as threads:
        made = list(threads.map(lambda _: tenant.version(model).number, range(8)))
    assert sorted(made) == list(range(1, 9))


def test_a_version_that_an_alias_pins_is_not_retired_nor_a_retired_one_pinned(tenant: Tenant) -> None:
    model = tenant.model("writer", 2)
    tenant.promote(model, 2)
    tenant.alias("steady", "writer", version=1)
    with pytest.raises(VersionPinned, match="steady"):
        tenant.retire(model, 1)
    tenant.alias("steady", "writer")
    tenant.retire(model, 1)
    with pytest.raises(VersionRetired):
        tenant.alias("steady", "writer", version=1)


def test_shared_models_are_the_operators(tenant: Tenant, operator: Tenant) -> None:
    model = operator.model(f"shared-{new_id()}", 2)
    operator.promote(model, 1)
    for act in (
        lambda: tenant.promote(model, 2),
        lambda: tenant.rollback(model),
        lambda: tenant.retire(model, 2),
        lambda: tenant.restore(model, 2),
        lambda: tenant.version(model),
    ):
        with pytest.raises(SharedReadOnly):
            act()
    assert operator.promote(model, 2).champion == 2


def test_another_tenants_model_is_not_there(tenant: Tenant) -> None:
    model = tenant.model("writer", 1)
    other = new_tenant(tenant.database, tenant.registry.deployments)
    for act in (lambda: other.promote(model, 1), lambda: other.rollback(model), lambda: other.version(model)):
        with pytest.raises(ModelNotFound):
            act()
    with pytest.raises(VersionNotFound):
        tenant.promote(model, 2)


def test_an_owner_is_made_of_the_caller() -> None:
    principal = Principal(V[0], V[1], None, frozenset(), actor_kind="user", actor_id="digest")
    owner = Owner.of(principal)
    assert (owner.organization_id, owner.actor.kind, owner.actor.id) == (V[0], "user", "digest")


def test_a_reason_has_a_bound(tenant: Tenant) -> None:
    from core.registry.stages import service

    model = tenant.model("writer", 1)
    with tenant.session() as session, pytest.raises(WaybillError, match="1000"):
        service.promote(session, tenant.owner, model.id, 1, reason="x" * 1001)
