"""Errors of the console's sessions. Clients of the API never get them."""

from core.kit.errors import NotFound, PermissionDenied, Unauthenticated


class SessionEnded(Unauthenticated):
    """The console's session was ended, idle for too long, or never existed."""

    default_code = "session_ended"


class SessionNotFound(NotFound):
    """No such session of the caller's."""

    default_code = "session_not_found"


class ViewNotFound(NotFound):
    """No such saved view of the caller's."""

    default_code = "view_not_found"


class LinkInvalid(Unauthenticated):
    """A link that signs in to the console was used, has expired, or was never made."""

    default_code = "link_invalid"


class SignInRefused(Unauthenticated):
    """The identity provider refused to sign in, or its answer does not belong to this browser's request."""

    default_code = "sign_in_refused"


class ForgedRequest(PermissionDenied):
    """A form of the console was sent by another site, or by an earlier session."""

    default_code = "request_forged"
