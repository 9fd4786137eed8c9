"""The ids of the secret keys that a backup needs, and whether an installation has them. Keys are never written."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any
from uuid import UUID

import psycopg

from core.guard.pseudonyms import SEALED_FOR as PSEUDONYMS
from core.kit.sealing import CannotOpen, Sealer, fingerprint
from core.kit.settings import Settings
from core.kit.signing import Keyring
from core.webhooks.signing import SEALED_FOR
from waybill.backup.manifest import Manifest, SecretKey, SigningKey
from waybill.cli.exits import Exit
from waybill.cli.failures import CliError

_BOXES = """
SELECT owner_id, sealed FROM webhook_secrets
UNION ALL SELECT owner_id, previous FROM webhook_secrets WHERE previous IS NOT NULL
"""
_PSEUDONYMS = "SELECT root_job_id, sealed FROM guard_pseudonyms WHERE sealed IS NOT NULL"
_SIGNED = """
SELECT key_id, count(*) FROM (SELECT key_id FROM audit_seals UNION ALL SELECT key_id FROM audit_retirements) AS signed
GROUP BY key_id ORDER BY key_id
"""


def secret_keys(connection: psycopg.Connection[Any], settings: Settings) -> list[SecretKey]:
    """The current secret key and the retired ones, with what each has sealed.

    Raises `CliError` for a stored value that none of them opens, because such a backup could not be restored.
    """
    keys = _keys(settings)
    sealers = {fingerprint(key): Sealer([key], SEALED_FOR) for key in keys}
    sealed = Counter(_opener(sealers, owner, box) for owner, box in connection.execute(_BOXES))
    return [SecretKey(fingerprint=name, sealed_values=sealed[name]) for name in sealers]


def pseudonym_keys(connection: psycopg.Connection[Any], settings: Settings) -> list[SecretKey]:
    """The current pseudonym key and the retired ones, with what each has sealed; empty where none is set.

    Values that none of them opens are already lost, and are backed up unchanged. Raises `CliError` if there are
    values but no key is set.
    """
    sealers = {fingerprint(key): Sealer([key], PSEUDONYMS) for key in _pseudonym_keys(settings)}
    sealed: Counter[str] = Counter()
    with connection.cursor() as cursor:
        for owner, box in cursor.stream(_PSEUDONYMS):
            if not sealers:
                raise CliError(
                    "WAYBILL_PSEUDONYM_KEY is not set, but the backup must record which key the pseudonyms need",
                    remedy="set it to the installation's key, as for the workers",
                    code="pseudonym_key_not_configured",
                )
            sealed.update(name for name, sealer in sealers.items() if _opens(sealer, owner, box))
    return [SecretKey(fingerprint=name, sealed_values=sealed[name]) for name in sealers]


def signing_keys(connection: psycopg.Connection[Any]) -> list[SigningKey]:
    """The keys that have signed seals of the audit trail."""
    return [SigningKey(key_id=key_id, seals=seals) for key_id, seals in connection.execute(_SIGNED)]


def require(manifest: Manifest, settings: Settings) -> None:
    """Raise `CliError` unless the settings hold every key that the backup names."""
    held = {fingerprint(key) for key in _keys(settings)}
    missing = [each.fingerprint for each in manifest.secret_keys if each.fingerprint not in held]
    if missing:
        raise _refusal(
            "WAYBILL_SECRET_KEY",
            missing,
            "set it and WAYBILL_SECRET_KEYS_RETIRED to their values of that time",
        )
    held = {fingerprint(key) for key in _pseudonym_keys(settings)}
    missing = [each.fingerprint for each in manifest.pseudonym_keys if each.fingerprint not in held]
    if missing:
        raise _refusal(
            "WAYBILL_PSEUDONYM_KEY",
            missing,
            "set it and WAYBILL_PSEUDONYM_KEYS_RETIRED to their values of that time",
        )
    keyring = Keyring.from_settings(settings)
    unknown = [each.key_id for each in manifest.signing_keys if each.key_id not in keyring]
    if unknown:
        raise _refusal(
            "WAYBILL_SIGNING_KEY",
            unknown,
            "set it to the key that signed the audit trail, or add its public half to WAYBILL_SIGNING_KEYS_RETIRED",
        )


def _keys(settings: Settings) -> Sequence[str]:
    if settings.secret_key is None:
        raise CliError(
            "WAYBILL_SECRET_KEY is not set, but the backup must record which key API keys and sealed secrets need",
            remedy="set it to the installation's key, as for the API",
            code="secret_key_not_configured",
        )
    return [key.get_secret_value() for key in (settings.secret_key, *settings.secret_keys_retired)]


def _pseudonym_keys(settings: Settings) -> Sequence[str]:
    if settings.pseudonym_key is None:
        return []
    return [key.get_secret_value() for key in (settings.pseudonym_key, *settings.pseudonym_keys_retired)]


def _opener(sealers: dict[str, Sealer], owner: UUID, box: bytes) -> str:
    for name, sealer in sealers.items():
        if _opens(sealer, owner, box):
            return name
    raise CliError(
        f"the webhook secret of {owner} was sealed with a key that is neither WAYBILL_SECRET_KEY nor a retired one",
        remedy="set both to the installation's keys, as for the API and the deliverer",
        code="cannot_open",
        exit_code=Exit.FAILED,
    )


def _opens(sealer: Sealer, owner: UUID, box: bytes) -> bool:
    try:
        sealer.open(owner, box)
    except CannotOpen:
        return False
    return True


def _refusal(variable: str, names: Iterable[str], remedy: str) -> CliError:
    return CliError(
        f"the backup needs a key that is not {variable}: {', '.join(names)}. Nothing was restored",
        remedy=remedy,
        code="wrong_key",
        exit_code=Exit.REFUSED,
    )
