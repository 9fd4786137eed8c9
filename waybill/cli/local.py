"""Settings for commands that work on this machine's own database or stack, instead of through the API."""

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from core.kit.settings import Settings


def local_settings() -> "Settings":
    """The settings; and from now on what the core logs in this process goes to stderr, from warnings on, for a person.

    Unconfigured, structlog writes to stdout, in between the results.
    """
    from core.kit.logging import configure_logging
    from core.kit.settings import get_settings

    settings = get_settings()
    quiet = settings.model_copy(update={"log_level": "warning", "log_format": "console"})
    configure_logging(quiet, service="command-line", exports=False)
    return settings


def default_organization() -> str:
    """Whose things a key is for when nobody says: of the stack that runs here, what its command line works in.

    Otherwise a knowledge base that was just made by ``waybill kb create`` would be nobody's to the new key.
    """
    if any(name.upper() in {"DATABASE_URL", "WAYBILL_DATABASE_URL"} for name in os.environ):
        return "default"
    from waybill.stack.local_key import ORGANIZATION

    return ORGANIZATION
