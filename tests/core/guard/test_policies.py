"""Policies in Postgres: versions, who may see and change them, the audit trail, and what a process remembers."""

from collections.abc import Iterator

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from core.guard.errors import GuardPolicyChanged, GuardPolicyNotFound
from core.guard.policies import PolicyCache
from core.guard.policy import TEMPLATES, Dictionary, GuardPolicy, Pattern
from core.guard.service import GuardService
from core.guard.stored import NewReview
from core.jobs.retention import repository as retention
from core.kit.errors import NotFound, Unprocessable
from core.kit.ids import new_id
from core.kit.settings import Settings
from tests.factories.jobs import Tenant, new_tenant
from tests.factories.tenancy import audit_trail, watch_single_statements

OWN = GuardPolicy(
    rules=TEMPLATES["balanced"].rules, dictionaries=(Dictionary(kind="code_word", terms=("falcon", "osprey")),)
)


@pytest.fixture
def tenant(settings: Settings) -> Iterator[Tenant]:
    opened = new_tenant(settings)
    yield opened
    opened.close()


def put(
    settings: Settings, tenant: Tenant, policy: GuardPolicy, *, own: bool = True, expected: int | None = None
) -> int:
    principal = tenant.principal
    with tenant.database.tenant(principal.organization_id) as session:
        project_id = principal.project_id if own else None
        return GuardService(settings).put(session, principal, project_id, policy, expected=expected).version


def test_versions_are_added_and_audited_without_a_word_of_the_tenants(settings: Settings, tenant: Tenant) -> None:
    assert [put(settings, tenant, each) for each in (TEMPLATES["strict"], OWN, OWN)] == [1, 2, 2]
    with pytest.raises(GuardPolicyChanged) as refused:
        put(settings, tenant, TEMPLATES["off"], expected=1)
    assert refused.value.extra == {"version": 2}
    assert put(settings, tenant, TEMPLATES["off"], own=False, expected=0) == 1, "the organization's is another"
    service, principal = GuardService(settings), tenant.principal
    with tenant.database.tenant(principal.organization_id) as session:
        versions = service.versions(session, principal, principal.project_id, before=None, limit=5)
        assert [each.version for each in versions] == [2, 1]
        assert GuardPolicy.model_validate(service.get(session, principal, principal.project_id, 2).document) == OWN
        with pytest.raises(GuardPolicyNotFound):
            service.get(session, principal, principal.project_id, 3)
        with pytest.raises(NotFound):
            service.get(session, principal, new_id())
    records = [row for row in audit_trail(settings, principal.organization_id) if "guard_policy" in row["action"]]
    assert [(each["detail"]["version"], each["detail"]["template"]) for each in records] == [
        (1, "strict"),
        (2, None),
        (1, "off"),
    ]
    assert (records[1]["detail"]["terms"], "falcon" in str(records)) == (2, False)


def test_no_one_changes_a_version_and_no_tenant_sees_anothers(settings: Settings, tenant: Tenant) -> None:
    put(settings, tenant, OWN)
    with pytest.raises(DBAPIError), tenant.database.system() as session:
        session.execute(text("UPDATE guard_policies SET document = '{}'"))
    other = new_tenant(settings)
    try:
        with other.database.tenant(other.principal.organization_id) as session:
            assert session.execute(text("SELECT count(*) FROM guard_policies")).scalar_one() == 0
            with pytest.raises(NotFound):
                GuardService(settings).put(session, other.principal, tenant.principal.project_id, OWN)
    finally:
        other.close()


@pytest.mark.parametrize(
    ("policy", "path"),
    [
        (
            GuardPolicy(patterns=(Pattern(kind="ok", expression="a"), Pattern(kind="x", expression="(?=a)"))),
            "patterns.1.expression",
        ),
        (GuardPolicy(patterns=(Pattern(kind="x", expression="a*"),)), "patterns.0.expression"),
        (GuardPolicy(dictionaries=(Dictionary(kind="x", terms=("ok", " ")),)), "dictionaries.0.terms.1"),
        (GuardPolicy(dictionaries=(Dictionary(kind="x", terms=("-" * 25,)),)), "dictionaries.0.terms.0"),
        (GuardPolicy(allow=("x" * 201,)), "allow.0"),
    ],
)
def test_what_nothing_could_apply_is_refused_by_its_field(
    settings: Settings, tenant: Tenant, policy: GuardPolicy, path: str
) -> None:
    with pytest.raises(Unprocessable) as refused:
        put(settings, tenant, policy)
    assert [each["path"] for each in refused.value.extra["errors"]] == [f"body.policy.{path}"]


def test_a_process_asks_again_for_the_version_and_reads_it_once(
    settings: Settings, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(settings, tenant, TEMPLATES["balanced"], own=False)
    put(settings, tenant, OWN)
    floor = settings.model_copy(update={"guard_template": "observe"})
    cache, principal = PolicyCache(floor), tenant.principal
    single = tenant.database.single_tenant(principal.organization_id)
    asked = watch_single_statements(tenant.database, monkeypatch, "guard_policies")
    first = cache.of(single, principal.organization_id, principal.project_id)
    assert first.policies == (TEMPLATES["observe"], TEMPLATES["balanced"], OWN)
    assert cache.of(single, principal.organization_id, principal.project_id) is first
    assert len(asked) == 3
    cache.evict()
    assert cache.of(single, principal.organization_id, principal.project_id) is first
    assert len(asked) == 4
    put(settings, tenant, TEMPLATES["off"])
    cache.evict()
    assert cache.of(single, principal.organization_id, principal.project_id).policies[2] == TEMPLATES["off"]
    assert cache.of(single, principal.organization_id, new_id()).policies == (
        TEMPLATES["observe"],
        TEMPLATES["balanced"],
    )


def test_a_false_positive_is_sealed_may_be_allowed_and_goes_with_its_jobs_payloads(
    settings: Settings, tenant: Tenant
) -> None:
    service, principal, job_id = GuardService(settings), tenant.principal, new_id()
    with tenant.database.tenant(principal.organization_id) as session:
        made = service.review(session, principal, NewReview("person", "Falcon", "false_positive", job_id, allow=True))
        service.review(session, principal, NewReview("phone", "555 0100", "correct"))
        assert made.box is not None
        assert b"Falcon" not in made.box
        assert service.reveal(made) == "Falcon"
        assert service.get(session, principal, principal.project_id).document["allow"] == ["Falcon"]
    with tenant.database.system() as session:
        retention.blank(session, [job_id])
    with tenant.database.tenant(principal.organization_id) as session:
        found = service.reviews(session, principal, verdict=None, cursor=None, limit=5)
    assert [(each.kind, each.is_allowed, service.reveal(each)) for each in found] == [
        ("phone", False, "555 0100"),
        ("person", True, None),
    ]
    assert "Falcon" not in str(audit_trail(settings, principal.organization_id))
