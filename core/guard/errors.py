"""Errors about guard policies."""

from core.kit.errors import Conflict, NotFound, Unavailable


class GuardPolicyNotFound(NotFound):
    """No such version of the policy."""

    default_code = "guard_policy_not_found"


class GuardPolicyChanged(Conflict):
    """Another version was set since the caller read the policy; `extra` names the latest `version`."""

    title, default_code = "Guard policy changed", "guard_policy_changed"


class GuardUnavailable(Unavailable):
    """The guard's analyzer is not configured or does not answer."""

    default_code = "guard_unavailable"
