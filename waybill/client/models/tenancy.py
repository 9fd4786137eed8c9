"""Organisations, projects, keys and members."""

from datetime import datetime
from typing import Any

from pydantic import Field

from waybill.client.models.base import Resource

_PROJECTS, _KEYS, _MEMBERS = "/v1/projects", "/v1/keys", "/v1/members"


class Organization(Resource):
    """The caller's organisation, and who the caller is in it."""

    id: str
    name: str
    created_at: datetime | None = None
    caller: dict[str, Any] = Field(default_factory=dict)


class Project(Resource):
    """What work is done and paid for under."""

    id: str
    name: str
    cost_centre: str | None = None
    owner: str | None = None
    labels: dict[str, str] = Field(default_factory=dict)
    data_class: str = ""
    created_at: datetime | None = None
    archived_at: datetime | None = None


class Key(Resource):
    """A key. `key` is the key itself, in the answer that made it and in no other."""

    id: str
    project_id: str
    name: str
    prefix: str = ""
    scopes: list[str] = Field(default_factory=list)
    clearance: str = ""
    state: str = ""
    created_at: datetime | None = None
    expires_at: datetime | None = None
    revoked_at: datetime | None = None
    last_used_at: datetime | None = None
    replaced_by: str | None = None
    key: str | None = None


class Member(Resource):
    """A person who may act for the organisation."""

    id: str
    issuer: str
    subject: str
    email: str | None = None
    role: str
    created_at: datetime | None = None
