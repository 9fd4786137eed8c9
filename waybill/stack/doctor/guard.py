"""Checks that the guard's analyzer responds, if one is configured."""

from core.guard.analyzer import open_analyzer
from core.kit.errors import Unavailable
from core.kit.settings import Settings
from waybill.stack.doctor.check import Check, fail, ok

_NAME = "guard"


def check_guard(settings: Settings) -> list[Check]:
    """Check that the analyzer is ready; no result if none is configured."""
    analyzer = open_analyzer(settings)
    if analyzer is None:
        return []
    with analyzer:
        try:
            analyzer.check()
        except Unavailable as error:
            remedy = "start `waybill guard serve`, or check its log; see docs/runbooks/guard-unavailable.md"
            return [fail(_NAME, f"{error.detail} at {settings.guard_url}", remedy)]
    return [ok(_NAME, f"ready at {settings.guard_url}")]
