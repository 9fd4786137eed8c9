"""``/console/playground``: run any capability, with its cost before and after, and two results side by side."""

import secrets
from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import Path, Query, Request, Response

from api.answers import parse_id
from api.console.jobs.acts import run
from api.console.playground import handbook
from api.console.playground.capability_form import CapabilityForm, form_of
from api.console.playground.results import Run, see
from api.console.playground.samples import snippets
from api.console.rendering import gettext as _
from api.console.rendering import render
from api.console.routing import Form, current, form, new_router, redirect, requires, takes_file
from api.console.schema_forms import PREFIX, value_of
from api.console.work import read
from api.deps import Runtime
from api.files.routes import keep_upload
from api.jobs.submitting import check_input, find_manifest
from api.quotes.routes import quote_for
from api.quotes.schemas import AskQuote
from api.routing import require_scope
from core.capability import Manifest
from core.files.service import check_name
from core.keys.principal import Principal
from core.kit.data_classes import DataClass
from core.kit.db import SingleStatement
from core.kit.errors import NotFound, Unprocessable
from core.kit.ids import JOB, encode
from pipelines.registry import manifests

router = new_router("/playground")

PAGE = "/console/playground"
_SIDE_BY_SIDE = 2
_FIRST = ("knowledge.search", "models.chat")
_NAME_MAX = 200

JobId = Annotated[str, Path(max_length=100)]


@router.get("")
@requires("jobs:read")
async def playground(
    request: Request,
    capability: Annotated[str, Query(max_length=_NAME_MAX)] = "",
    job: Annotated[list[str] | None, Query(max_length=_SIDE_BY_SIDE, description="Jobs to show.")] = None,
) -> Response:
    """The form of a capability; with jobs, their results side by side, and the form as it was for the last of them."""
    job_ids = [parse_id(JOB, each, "job") for each in job or ()]

    def find(runtime: Runtime, session: SingleStatement, principal: Principal) -> dict[str, Any]:
        runs = [see(runtime, session, principal, each) for each in job_ids]
        manifest = _manifest(principal, capability or (runs[-1].job.capability if runs else ""))
        given = next((each.given for each in reversed(runs) if each.job.capability == manifest.id), None)
        shape = form_of(runtime, session, principal, manifest, given)
        may_add_samples = not shape.has_bases and handbook.may_add(principal)
        return {"runs": runs, "manifest": manifest, "form": shape, "may_add_samples": may_add_samples}

    found = await read(request, find)
    return render(
        request,
        "playground/page.html",
        capabilities=_offered(current(request).principal),
        once=secrets.token_urlsafe(16),
        jobs=[encode(JOB, each) for each in job_ids],
        **found,
    )


@router.get("/jobs/{job_id}")
@requires("jobs:read")
async def result(request: Request, job_id: JobId) -> Response:
    """One result: the part of the page that is asked for again as the job's events come."""
    found = parse_id(JOB, job_id, "job")
    run_: Run = await read(request, lambda runtime, session, principal: see(runtime, session, principal, found))
    return render(request, "playground/alone.html", fragment="playground/_run.html", run=run_)


@router.post("")
@requires("jobs:write")
async def submit(request: Request) -> Response:
    """Submit what the form holds: once, or once for each of two models; and go on with its result."""
    fields = form(request)
    principal = current(request).principal
    manifest = _manifest(principal, str(fields.get("capability", "")))
    once = str(fields.get("once", ""))[:_NAME_MAX]
    given = await _given(request, manifest)
    other = str(fields.get("other_model", ""))
    inputs = [given, {**given, "model": other}] if other and "model" in given else [given]
    beside = str(fields.get("beside", ""))
    kept = [encode(JOB, parse_id(JOB, beside, "job"))] if beside and len(inputs) == 1 else []
    made = [
        encode(JOB, await run(request, manifest.id, each, f"{once}-{number}" if once else ""))
        for number, each in enumerate(inputs)
    ]
    return redirect(request, f"{PAGE}?{'&'.join(f'job={each}' for each in [*kept, *made])}")


@router.post("/samples")
@requires("knowledge:write")
async def add_samples(request: Request) -> Response:
    """Add the sample documents to the project, and show the job that reads them beside a question about them."""
    for scope in sorted(handbook.SCOPES):
        require_scope(current(request).principal, scope)
    job_id = await handbook.add_samples(request, str(form(request).get("once", ""))[:_NAME_MAX])
    return redirect(request, f"{PAGE}?capability={_FIRST[0]}&job={job_id}")


@router.post("/quote")
@requires("jobs:write")
async def estimate(request: Request) -> Response:
    """What a job with the form's input would probably cost, and how it is submitted from elsewhere."""
    manifest = _manifest(current(request).principal, str(form(request).get("capability", "")))
    try:
        given = await _given(request, manifest)
        check_input(manifest, given, ("form",))
        found = await quote_for(request, AskQuote(capability=manifest.id, input=given))
    except Unprocessable as incomplete:
        problems = [_plain(each, form(request)) for each in incomplete.extra.get("errors") or []]
        return render(request, "playground/estimate.html", fragment="playground/_estimate.html", problems=problems)
    return render(
        request,
        "playground/estimate.html",
        fragment="playground/_estimate.html",
        problems=None,
        quote=found,
        snippets=snippets(str(request.base_url).rstrip("/"), manifest.id, given),
        price_hint=manifest.price_hint,
    )


@router.post("/files")
@requires("files:write")
@takes_file
async def upload(request: Request, name: Annotated[str, Query(min_length=1, max_length=_NAME_MAX)]) -> Response:
    """Keep a file that a form's field names by its id."""
    check_name(name)
    kept = await keep_upload(request, name, DataClass.INTERNAL)
    return Response(kept.body, media_type="application/json", headers={"cache-control": "no-store"})


def _plain(problem: dict[str, str], sent: Form) -> dict[str, str]:
    """A field's problem; of one that is empty, only that."""
    is_empty = sent.get(f"{PREFIX}{problem['path'].removeprefix('form.')}") == ""
    return {**problem, "message": _("needs a value")} if is_empty else problem


async def _given(request: Request, manifest: Manifest) -> dict[str, Any]:
    """The input in the form. Raises `Unprocessable` for what is not of the schema's types."""

    def find(runtime: Runtime, session: SingleStatement, principal: Principal) -> CapabilityForm:
        return form_of(runtime, session, principal, manifest, {})

    shape = await read(request, find)
    given = value_of(shape.fields, form(request))
    if not isinstance(given, dict):
        return {}
    # What is as by default is left out, so that the call that is shown is as short as it can be.
    defaults = {name: each["default"] for name, each in _properties(manifest).items() if "default" in each}
    return {name: value for name, value in given.items() if name not in defaults or value != defaults[name]}


def _properties(manifest: Manifest) -> dict[str, Any]:
    found: dict[str, Any] = manifest.input.model_json_schema().get("properties", {})
    return found


def _manifest(principal: Principal, name: str) -> Manifest:
    """The capability called `name`, or the first that the caller may use."""
    if name:
        return find_manifest(name, principal)
    offered = _offered(principal)
    if not offered:
        raise NotFound(_("this key may use no capability"), code="capability_not_found")
    return next((each for first in _FIRST for each in offered if each.id == first), offered[0])


def _offered(principal: Principal) -> Sequence[Manifest]:
    """The capabilities that the caller may use."""
    return [
        each
        for name, each in sorted(manifests().items())
        if principal.may_use(name) and each.scopes <= principal.scopes
    ]
