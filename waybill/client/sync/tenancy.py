"""The organisation: its projects, its members and their keys."""

# Written by `python -m waybill.client.generate` from aio/tenancy.py: change that, and run it again.

from collections.abc import Mapping, Sequence
from typing import Any

from waybill.client.bodies import given
from waybill.client.models import Key, Member, Organization, Page, Project
from waybill.client.sync.endpoints import Endpoints

_PROJECTS, _KEYS, _MEMBERS = "/v1/projects", "/v1/keys", "/v1/members"


class Projects(Endpoints):
    """``/v1/projects``, and ``/v1/organization`` that they belong to."""

    def organization(self) -> Organization:
        """The caller's organisation."""
        return self._get(Organization, "/v1/organization")

    def create(
        self,
        name: str,
        *,
        cost_centre: str | None = None,
        owner: str | None = None,
        labels: Mapping[str, str] | None = None,
        data_class: str | None = None,
    ) -> Project:
        """A new project, whose jobs are of `data_class` at least. Raises `Conflict` for a name that is taken."""
        body = given(
            name=name,
            cost_centre=cost_centre,
            owner=owner,
            labels=dict(labels) if labels else None,
            data_class=data_class,
        )
        return self._post(Project, _PROJECTS, body)

    def list(
        self, *, name: str | None = None, archived: bool = False, limit: int = 50, cursor: str | None = None
    ) -> Page[Project]:
        """One page of the organisation's projects, newest first."""
        params = given(name=name, archived=archived or None, limit=limit, cursor=cursor)
        return self._get(Page[Project], _PROJECTS, params)

    def get(self, project_id: str) -> Project:
        """One project. Raises `NotFound`."""
        return self._get(Project, f"{_PROJECTS}/{project_id}")

    def update(self, project_id: str, changes: Mapping[str, Any]) -> Project:
        """Set what `changes` names; None takes a value away. Raises `NotFound` and `Conflict`."""
        return self._patch(Project, f"{_PROJECTS}/{project_id}", changes)

    def archive(self, project_id: str) -> Project:
        """Let nothing in a project be changed any more."""
        return self._post(Project, f"{_PROJECTS}/{project_id}/archive")

    def restore(self, project_id: str) -> Project:
        """Restore an archived project."""
        return self._post(Project, f"{_PROJECTS}/{project_id}/restore")


class Keys(Endpoints):
    """``/v1/keys``."""

    def create(
        self,
        name: str,
        *,
        project_id: str | None = None,
        scopes: Sequence[str] = (),
        role: str | None = None,
        expires_in_seconds: int | None = None,
        clearance: str | None = None,
    ) -> Key:
        """A new key, with `key` in it. Without scopes or a role it may run jobs and read knowledge.

        `clearance` is the highest class of data whose results it may read; the caller's own when left out.
        """
        body = given(
            name=name,
            project_id=project_id,
            scopes=[*scopes] or None,
            role=role,
            expires_in_seconds=expires_in_seconds,
            clearance=clearance,
        )
        return self._post(Key, _KEYS, body)

    def list(
        self, *, project_id: str | None = None, ended: bool = False, limit: int = 50, cursor: str | None = None
    ) -> Page[Key]:
        """One page of keys, newest first."""
        params = given(project_id=project_id, ended=ended or None, limit=limit, cursor=cursor)
        return self._get(Page[Key], _KEYS, params)

    def get(self, key_id: str) -> Key:
        """One key. Raises `NotFound`."""
        return self._get(Key, f"{_KEYS}/{key_id}")

    def rotate(self, key_id: str, overlap_seconds: int | None = None) -> Key:
        """A new key in place of an active one, which works on for the overlap. Raises `Conflict`."""
        body = given(overlap_seconds=overlap_seconds)
        return self._post(Key, f"{_KEYS}/{key_id}/rotate", body)

    def revoke(self, key_id: str) -> Key:
        """Revoke a key. Takes effect within two seconds."""
        return self._post(Key, f"{_KEYS}/{key_id}/revoke")


class Members(Endpoints):
    """``/v1/members``."""

    def add(self, subject: str, role: str, *, email: str | None = None, issuer: str | None = None) -> Member:
        """Let a person in. Raises `Conflict` for one who is in already."""
        body = given(subject=subject, role=role, email=email, issuer=issuer)
        return self._post(Member, _MEMBERS, body)

    def list(self, *, role: str | None = None, limit: int = 50, cursor: str | None = None) -> Page[Member]:
        """One page of the organisation's members, newest first."""
        params = given(role=role, limit=limit, cursor=cursor)
        return self._get(Page[Member], _MEMBERS, params)

    def get(self, member_id: str) -> Member:
        """One member. Raises `NotFound`."""
        return self._get(Member, f"{_MEMBERS}/{member_id}")

    def change(self, member_id: str, changes: Mapping[str, Any]) -> Member:
        """Set `role` or `email`. Raises `Conflict` for the last owner."""
        return self._patch(Member, f"{_MEMBERS}/{member_id}", changes)

    def remove(self, member_id: str) -> None:
        """Take a person's role away. Raises `Conflict` for the last owner."""
        self._transport.delete(f"{_MEMBERS}/{member_id}")
