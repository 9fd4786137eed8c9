"""``/console/sign-in/oidc``: signing in at an identity provider, and its answer."""

from typing import Annotated
from urllib.parse import quote, unquote

from fastapi import Query, Request, Response

from api.console.routing import any_query, new_router, public
from api.console.security import PAGE_HEADERS
from api.console.sign_in import Following, begin, local, sign_in_form
from api.deps import Runtime, get_runtime
from core.keys.oidc import Identity
from core.keys.principal import Principal
from core.keys.sessions.code_flow import Attempt
from core.keys.sessions.errors import SignInRefused
from core.kit.errors import PermissionDenied, Unauthenticated

router = new_router("/sign-in")

# The browser that began is the one that ends: no one can be signed in as another by a link with a foreign code.
_COOKIE = "__Host-waybill_sign_in"
_SECONDS = 600
_PARTS = 5


@router.get("/oidc")
@public
async def ask_provider(
    request: Request, issuer: Annotated[int, Query(ge=0, le=1000)] = 0, following: Following = None
) -> Response:
    """Send the browser to an identity provider."""
    runtime = get_runtime(request)
    where, attempt = await runtime.in_thread(runtime.code_flow.begin, issuer)
    response = Response(status_code=303, headers={**PAGE_HEADERS, "location": where})
    kept = (str(attempt.issuer), attempt.state, attempt.nonce, attempt.verifier, quote(local(following), safe=""))
    response.set_cookie(_COOKIE, "~".join(kept), max_age=_SECONDS, path="/", secure=True, httponly=True, samesite="lax")
    return response


@router.get("/callback")
@public
@any_query
async def provider_answered(request: Request) -> Response:
    """Exchange the provider's code for a session of the person it signed in."""
    runtime = get_runtime(request)
    following = None
    try:
        attempt, following = _attempt(request.cookies.get(_COOKIE, ""))
        answer = dict(request.query_params)
        principal, identity = await runtime.in_thread(_who, runtime, attempt, answer)
    except (Unauthenticated, PermissionDenied) as refused:
        response = sign_in_form(request, following, refused=refused)
    else:
        response = await begin(request, principal, following, identity)
    response.delete_cookie(_COOKIE, path="/", secure=True, httponly=True, samesite="lax")
    return response


def _who(runtime: Runtime, attempt: Attempt, answer: dict[str, str]) -> tuple[Principal, Identity]:
    identity = runtime.code_flow.finish(attempt, answer)
    return runtime.authenticator.find(identity, None), identity


def _attempt(kept: str) -> tuple[Attempt, str]:
    parts = kept.split("~")
    if len(parts) != _PARTS or not parts[0].isdecimal():
        raise SignInRefused("this browser began no sign-in, or ten minutes ago; start again")
    return Attempt(int(parts[0]), parts[1], parts[2], parts[3]), unquote(parts[4])
