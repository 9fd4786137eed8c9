"""``/console/sign-in``: a key, or a link that `waybill up` prints, is exchanged for a session; and the way out."""

from typing import TYPE_CHECKING, Annotated

from fastapi import Query, Request, Response

from api.console.rendering import flash, render
from api.console.rendering import gettext as _
from api.console.routing import SIGN_IN_PATH, current, form, new_router, public, redirect, resolve, signed_in
from api.console.security import SESSION_COOKIE, remove_session, set_session
from api.deps import get_runtime
from api.routing import count_failures, identify
from core.keys.principal import Principal
from core.kit.errors import PermissionDenied, Unauthenticated, WaybillError

if TYPE_CHECKING:
    from core.keys.oidc import Identity

router = new_router()

HOME = "/console"
SESSIONS_PATH = "/console/sessions"
_NEXT_MAX = 2000
_TOKEN_MAX = 100

# The page to go to afterwards.
Following = Annotated[str | None, Query(alias="next", max_length=_NEXT_MAX)]


@router.get("/sign-in")
@public
async def sign_in_page(
    request: Request,
    following: Following = None,
    link: Annotated[str | None, Query(max_length=_TOKEN_MAX)] = None,
) -> Response:
    """The form. Opening a link does not use it up: what fetches links ahead of people must not."""
    return sign_in_form(request, following, link=link)


@router.post("/sign-in")
@public
async def sign_in(request: Request) -> Response:
    """Exchange a key for a session."""
    fields = form(request)
    following = fields.get("next", "")
    try:
        principal = await identify(request, fields.get("key", "").strip())
        _require_key(principal)
    except Unauthenticated as refused:
        return sign_in_form(request, following, refused=refused)
    return await begin(request, principal, following)


@router.post("/sign-in/link")
@public
async def sign_in_with_link(request: Request) -> Response:
    """Exchange a link for a session."""
    runtime, token = get_runtime(request), form(request).get("link", "")
    try:
        principal = await count_failures(
            request,
            lambda: None,
            lambda: False,
            lambda: runtime.in_thread(runtime.console_sessions.redeem_link, token),
        )
    except Unauthenticated as refused:
        return sign_in_form(request, None, refused=refused)
    return await begin(request, principal, None)


@router.post("/sign-out")
@signed_in
async def sign_out(request: Request) -> Response:
    """End this session."""
    runtime, session = get_runtime(request), current(request)
    await runtime.in_thread(runtime.console_sessions.end, session, session.row.id)
    response = redirect(request, SIGN_IN_PATH)
    remove_session(response)
    return flash(response, _("You have signed out."))


def _require_key(principal: Principal) -> None:
    if principal.key_id is None:
        raise PermissionDenied("sign in with an API key here; tokens of an identity provider are for the API")


async def begin(
    request: Request, principal: Principal, following: str | None, identity: "Identity | None" = None
) -> Response:
    """A new session, whatever the browser had: one that another person planted there ends with this."""
    runtime = get_runtime(request)
    await _end_earlier(request)
    agent = request.headers.get("user-agent", "")
    token = await runtime.in_thread(runtime.console_sessions.open, principal, agent, identity)
    response = redirect(request, local(following))
    set_session(response, token)
    return response


async def _end_earlier(request: Request) -> None:
    if SESSION_COOKIE not in request.cookies:
        return
    try:
        earlier = await resolve(request)
        sessions = get_runtime(request).console_sessions
        await get_runtime(request).in_thread(sessions.end, earlier, earlier.row.id)
    except WaybillError:
        return


def local(following: str | None) -> str:
    """A page of the console, and never another site, to go to after signing in."""
    if following and (following == HOME or following.startswith((f"{HOME}/", f"{HOME}?"))):
        return following
    return HOME


def sign_in_form(
    request: Request, following: str | None, *, link: str | None = None, refused: WaybillError | None = None
) -> Response:
    """The page with its form, and why the last attempt was refused."""
    return render(
        request,
        "sign_in.html",
        status=200 if refused is None else refused.status,
        next=local(following),
        link=link,
        issuers=get_runtime(request).code_flow.names(),
        refused=None if refused is None else refused.detail,
    )
