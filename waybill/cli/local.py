"""Settings for commands that work on this machine's own database or stack, instead of through the API."""

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from core.kit.settings import Settings


def local_settings() -> "Settings":
    """The settings. From now on, this process logs warnings and errors to stderr in a readable format.

    Without this, structlog would write to stdout, between the results.
    """
    from core.kit.logging import configure_logging
    from core.kit.settings import get_settings

    settings = get_settings()
    quiet = settings.model_copy(update={"log_level": "warning", "log_format": "console"})
    configure_logging(quiet, service="command-line", exports=False)
    return settings


def default_organization() -> str:
    """The organization of a new key when none is named: on a local stack, the one that its command line works in.

    Otherwise the new key could not see a knowledge base that ``waybill kb create`` has just made.
    """
    if any(name.upper() in {"DATABASE_URL", "WAYBILL_DATABASE_URL"} for name in os.environ):
        return "default"
    from waybill.stack.local_key import ORGANIZATION

    return ORGANIZATION
