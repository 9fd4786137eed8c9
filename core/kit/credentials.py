"""Credentials that a configuration file names instead of holding them."""

import os
import re
from pathlib import Path

from core.kit.errors import Unavailable

# A name, so that whoever writes the secret itself into the file is told so, and it is never looked up.
NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,199}", re.ASCII)


def read_credential(name: str, secrets_dir: Path | None, *, of: str) -> str:
    """The content of the file `name` in `secrets_dir`, or else of the environment variable; read at every call.

    Raises `Unavailable` (``credential_missing``) that says whose credential it is and not what it is called.
    """
    try:
        if secrets_dir is not None and (secrets_dir / name).is_file():
            found = (secrets_dir / name).read_text(encoding="utf-8").strip()
        else:
            found = os.environ.get(name, "").strip()
    except (OSError, ValueError):
        # Chained, the cause would carry the name, and with it perhaps the secret, into a log.
        found = ""
    if not found:
        raise Unavailable(
            f"the credential of {of} is neither a file in WAYBILL_SECRETS_DIR nor an environment variable",
            code="credential_missing",
        ) from None
    return found
