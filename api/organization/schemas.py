"""The schema of the caller's organization."""

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, Field

from core.keys.principal import Principal
from core.keys.projects.repository import Organization as OrganizationRecord
from core.kit.clock import isoformat
from core.kit.ids import ORGANIZATION, PROJECT, encode


class Caller(BaseModel):
    """The caller."""

    kind: Literal["key", "user"]
    id: str = Field(description="The caller's identity as in audit records.")
    project_id: str | None = Field(description="The project of this request. Null when a person names none.")
    scopes: list[str]
    capabilities: list[str] | None = Field(description="The capabilities that the caller may use. Null means all.")


class Organization(BaseModel):
    """The caller's organization, and the caller's permissions in it."""

    id: str = Field(examples=["org_01jd3q8v9tfq8a1b2c3d4e5f6g"])
    name: str
    created_at: datetime
    caller: Caller


def to_wire(organization: OrganizationRecord, principal: Principal) -> dict[str, Any]:
    """`organization` as the members of `Organization`."""
    return {
        "id": encode(ORGANIZATION, organization.id),
        "name": organization.name,
        "created_at": isoformat(organization.created_at),
        "caller": {
            "kind": principal.actor_kind,
            "id": principal.actor_id,
            "project_id": encode(PROJECT, principal.project_id) if principal.has_project else None,
            "scopes": sorted(principal.scopes),
            "capabilities": None if principal.capabilities is None else sorted(principal.capabilities),
        },
    }
