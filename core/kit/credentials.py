"""Secrets by name: a file in a folder of secrets, or an environment variable; read at each use, never cached."""

import os
import re
from pathlib import Path

from core.kit.errors import Unavailable

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,199}", re.ASCII)


def is_name(text: str) -> bool:
    """Whether `text` can be the name of a credential, and not the secret itself by mistake."""
    return _NAME.fullmatch(text) is not None


def read_credential(name: str, secrets_dir: Path | None, *, whose: str) -> str:
    """The secret called `name`. Raises `Unavailable` (``credential_missing``), which names its owner, `whose`.

    The message never repeats `name`: an operator may have put the secret itself there.
    """
    try:
        if secrets_dir is not None and (secrets_dir / name).is_file():
            found = (secrets_dir / name).read_text(encoding="utf-8").strip()
        else:
            found = os.environ.get(name, "").strip()
    except (OSError, ValueError):
        # A chained cause would carry the name, and with it perhaps a key, into a log.
        found = ""
    if not found:
        raise Unavailable(
            f"the credential of {whose} is neither a file in WAYBILL_SECRETS_DIR nor an environment variable",
            code="credential_missing",
        ) from None
    return found
