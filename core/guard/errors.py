"""Refusals about guard policies."""

from core.kit.errors import Conflict, NotFound, Unavailable


class GuardPolicyNotFound(NotFound):
    """There is no such version of the policy."""

    default_code = "guard_policy_not_found"


class GuardPolicyChanged(Conflict):
    """Another version was put since the one that the caller read; `extra` names the newest one's `version`."""

    title, default_code = "Guard policy changed", "guard_policy_changed"


class GuardUnavailable(Unavailable):
    """What finds personal data and injections is not configured, or does not answer."""

    default_code = "guard_unavailable"
