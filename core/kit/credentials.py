"""Secrets by name: a file in a folder of secrets, or an environment variable; read at each use, never cached."""

import os
import re
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, AnyHttpUrl, SecretStr

from core.kit.errors import Unavailable

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,199}", re.ASCII)


def is_name(text: str) -> bool:
    """Whether `text` can be the name of a credential, and not the secret itself by mistake."""
    return _NAME.fullmatch(text) is not None


def _require_name(value: SecretStr) -> SecretStr:
    if not is_name(value.get_secret_value()):
        raise ValueError("names a file in WAYBILL_SECRETS_DIR or an environment variable; it is not the key itself")
    return value


def _require_plain(value: AnyHttpUrl) -> AnyHttpUrl:
    if value.username or value.password or value.query:
        raise ValueError("holds a user, a password or a query; name a credential instead")
    return value


# Fields of an operator's file: the name of a credential, and an address that holds none.
CredentialName = Annotated[SecretStr, AfterValidator(_require_name)]
PlainUrl = Annotated[AnyHttpUrl, AfterValidator(_require_plain)]


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
