"""Limits as a test sets them: through the service, as the API would."""

from decimal import Decimal
from uuid import UUID

from core.kit.settings import Settings
from core.limits import repository
from core.limits.cache import LimitCache
from core.limits.records import LimitKind, Scope, ScopeId
from core.limits.service import LimitService
from tests.factories.jobs import Tenant


def set_limit(
    settings: Settings,
    tenant: Tenant,
    kind: str,
    value: int | str,
    *,
    scope: Scope = "project",
    scope_id: UUID | None = None,
) -> None:
    """Limit the tenant's project, or what `scope` names, and let the tenant's own process know at once."""
    own = {"organization": tenant.principal.organization_id, "project": tenant.principal.project_id}
    whose = ScopeId(scope, scope_id or own[scope])
    with tenant.database.tenant(tenant.principal.organization_id) as session:
        LimitService(LimitCache(settings)).set(session, tenant.principal, whose, LimitKind(kind), value)
    tenant.service._limits.evict()


def used(tenant: Tenant, kind: str) -> Decimal | None:
    """What the tenant's project has used of a limit of its own."""
    single = tenant.database.single_tenant(tenant.principal.organization_id)
    scope_id = tenant.principal.project_id
    found = repository.get_limit(single, tenant.principal.organization_id, scope_id, LimitKind(kind))
    return None if found is None else found.used
