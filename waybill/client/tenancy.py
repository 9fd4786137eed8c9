"""The organisation: its projects, its members and their keys."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from pydantic import Field

from waybill.client.models import Page, Resource
from waybill.client.transport import Transport

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
    created_at: datetime | None = None
    archived_at: datetime | None = None


class Key(Resource):
    """A key. `key` is the key itself, in the answer that made it and in no other."""

    id: str
    project_id: str
    name: str
    prefix: str = ""
    scopes: list[str] = Field(default_factory=list)
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


class Projects:
    """``/v1/projects``, and ``/v1/organization`` that they belong to."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def organization(self) -> Organization:
        """The caller's organisation."""
        return Organization.model_validate(self._transport.get("/v1/organization").json())

    def create(self, name: str, **more: Any) -> Project:
        """A new project; `more`: `cost_centre`, `owner`, `labels`. Raises `ApiProblem` 409 for a name that is taken."""
        return Project.model_validate(self._transport.post(_PROJECTS, {"name": name, **more}).json())

    def list(
        self, *, name: str | None = None, archived: bool = False, limit: int = 50, cursor: str | None = None
    ) -> Page[Project]:
        """One page of the organisation's projects, newest first."""
        params = _given(name=name, archived=archived or None, limit=limit, cursor=cursor)
        return Page[Project].model_validate(self._transport.get(_PROJECTS, params).json())

    def get(self, project_id: str) -> Project:
        """One project. Raises `ApiProblem` 404."""
        return Project.model_validate(self._transport.get(f"{_PROJECTS}/{project_id}").json())

    def update(self, project_id: str, changes: Mapping[str, Any]) -> Project:
        """Set what `changes` names; None takes a value away. Raises `ApiProblem` 404 and 409."""
        return Project.model_validate(self._transport.patch(f"{_PROJECTS}/{project_id}", changes).json())

    def archive(self, project_id: str) -> Project:
        """Let nothing in a project be changed any more."""
        return Project.model_validate(self._transport.post(f"{_PROJECTS}/{project_id}/archive").json())

    def restore(self, project_id: str) -> Project:
        """Let work in an archived project go on."""
        return Project.model_validate(self._transport.post(f"{_PROJECTS}/{project_id}/restore").json())


class Keys:
    """``/v1/keys``."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def create(self, name: str, **more: Any) -> Key:
        """A new key, with `key` in it; `more`: `project_id`, `scopes`, `role`, `expires_in_seconds`."""
        return Key.model_validate(self._transport.post(_KEYS, {"name": name, **more}).json())

    def list(
        self, *, project_id: str | None = None, ended: bool = False, limit: int = 50, cursor: str | None = None
    ) -> Page[Key]:
        """One page of keys, newest first."""
        params = _given(project_id=project_id, ended=ended or None, limit=limit, cursor=cursor)
        return Page[Key].model_validate(self._transport.get(_KEYS, params).json())

    def get(self, key_id: str) -> Key:
        """One key. Raises `ApiProblem` 404."""
        return Key.model_validate(self._transport.get(f"{_KEYS}/{key_id}").json())

    def rotate(self, key_id: str, overlap_seconds: int | None = None) -> Key:
        """A new key in place of an active one, which works on for the overlap. Raises `ApiProblem` 409."""
        body = _given(overlap_seconds=overlap_seconds)
        return Key.model_validate(self._transport.post(f"{_KEYS}/{key_id}/rotate", body).json())

    def revoke(self, key_id: str) -> Key:
        """Make a key useless."""
        return Key.model_validate(self._transport.post(f"{_KEYS}/{key_id}/revoke").json())


class Members:
    """``/v1/members``."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def add(self, subject: str, role: str, *, email: str | None = None, issuer: str | None = None) -> Member:
        """Let a person in. Raises `ApiProblem` 409 for one who is in already."""
        body = _given(subject=subject, role=role, email=email, issuer=issuer)
        return Member.model_validate(self._transport.post(_MEMBERS, body).json())

    def list(self, *, role: str | None = None, limit: int = 50, cursor: str | None = None) -> Page[Member]:
        """One page of the organisation's members, newest first."""
        params = _given(role=role, limit=limit, cursor=cursor)
        return Page[Member].model_validate(self._transport.get(_MEMBERS, params).json())

    def change(self, member_id: str, changes: Mapping[str, Any]) -> Member:
        """Set `role` or `email`. Raises `ApiProblem` 409 for the last owner."""
        return Member.model_validate(self._transport.patch(f"{_MEMBERS}/{member_id}", changes).json())

    def remove(self, member_id: str) -> None:
        """Take a person's role away. Raises `ApiProblem` 409 for the last owner."""
        self._transport.delete(f"{_MEMBERS}/{member_id}")


def _given(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}
