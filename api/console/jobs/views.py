"""Saved views of the list of jobs: its filters under a name, for the key or person that is signed in."""

from dataclasses import asdict, fields
from urllib.parse import parse_qsl, urlencode

from fastapi import Request, Response

from api.answers import parse_id
from api.console.fields import field
from api.console.jobs.filters import Filters
from api.console.rendering import flash
from api.console.rendering import gettext as _
from api.console.routing import current, form, new_router, redirect, signed_in
from api.console.work import change
from core.keys.sessions import views
from core.kit.ids import VIEW

router = new_router("/jobs/views")

LIST = "/console/jobs"
_FIELDS_MAX = 50


@router.post("")
@signed_in
async def save(request: Request) -> Response:
    """Save the filters of an address under a name; a view of the same name is replaced."""
    query = query_of(_filters(form(request).get("query", "")))
    name = field(request, "name") or ""
    owner = current(request).row.owner
    await change(request, lambda _runtime, session, principal: views.save(session, principal, owner, name, query))
    return flash(redirect(request, f"{LIST}?{query}"), _("The view %(name)s is saved.", name=name))


@router.post("/{view_id}/delete")
@signed_in
async def delete(request: Request, view_id: str) -> Response:
    """Delete a view."""
    found = parse_id(VIEW, view_id, "view")
    owner = current(request).row.owner
    name = await change(request, lambda _runtime, session, principal: views.delete(session, principal, owner, found))
    return flash(redirect(request, LIST), _("The view %(name)s is deleted.", name=name))


def query_of(filters: Filters) -> str:
    """The query of the address with these filters; of two lists with the same filters it is the same."""
    return urlencode({name: value for name, value in asdict(filters).items() if value}, doseq=True)


def _filters(query: str) -> Filters:
    """The filters in the query of an address. Raises `Unprocessable` naming one that is not valid."""
    given = parse_qsl(query, max_num_fields=_FIELDS_MAX)
    texts = dict(given)
    chosen = {each.name: texts.get(each.name, "") for each in fields(Filters) if each.name != "state"}
    found = Filters(tuple(value for name, value in given if name == "state"), **chosen)
    found.parse()
    return found
