"""The caller's organisation on the wire."""

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, Field

from core.keys.principal import Principal
from core.keys.projects.repository import Organization as OrganizationRecord
from core.kit.clock import isoformat
from core.kit.ids import ORGANIZATION, PROJECT, encode


class Caller(BaseModel):
    """Who is asking."""

    kind: Literal["key", "user"]
    id: str = Field(description="As audit records name it.")
    project_id: str | None = Field(description="The project this request works in; null when a person names none.")
    scopes: list[str]
    capabilities: list[str] | None = Field(description="What it may ask for; null means everything.")


class Organization(BaseModel):
    """The caller's organisation, and what the caller may do in it."""

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
