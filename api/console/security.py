"""What every response of the console carries, and what tells its own forms from forged ones."""

import hmac
from urllib.parse import urlsplit

from fastapi import Request, Response

from core.keys.sessions.errors import ForgedRequest
from core.keys.sessions.service import SignedIn

# `__Host-` makes browsers insist on Secure, on the path / and on no other host having set it.
SESSION_COOKIE = "__Host-waybill_session"
CSRF_FIELD = "csrf_token"
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self';"
    " base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "content-security-policy": _POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}
PAGE_HEADERS = {**HEADERS, "cache-control": "no-store"}


def require_same_origin(request: Request) -> None:
    """Raise `ForgedRequest` unless a page of this origin sent the request (W3C Fetch Metadata).

    Browsers send ``Sec-Fetch-Site`` over https and to loopback addresses only. One too old for it sends ``Origin``,
    which counts if it is https, because the session's cookie would not be stored otherwise.
    """
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        if site == "same-origin":
            return
        raise ForgedRequest("this form was sent by another site; open the console and send it there")
    origin = urlsplit(request.headers.get("origin", ""))
    if origin.scheme == "https" and origin.netloc == request.headers.get("host"):
        return
    raise ForgedRequest(
        "the browser did not say which page sent this form; open the console over https, or on the machine itself"
        " at http://127.0.0.1"
    )


def require_token(given: str | None, signed_in: SignedIn) -> None:
    """Raise `ForgedRequest` unless a form carries its session's token."""
    if given is None or not hmac.compare_digest(given.encode(), signed_in.csrf_token.encode()):
        raise ForgedRequest("this page is older than your session; reload it, and send the form again")


def set_session(response: Response, token: str) -> None:
    """Store a session in the browser, until it is closed at the latest."""
    response.set_cookie(SESSION_COOKIE, token, path="/", secure=True, httponly=True, samesite="lax")


def remove_session(response: Response) -> None:
    """Remove the session from the browser."""
    response.delete_cookie(SESSION_COOKIE, path="/", secure=True, httponly=True, samesite="lax")
