"""Finds the API and the key: option, then environment, then the run file of the stack on this machine."""

from typing import TYPE_CHECKING

from waybill.cli.exits import Exit
from waybill.cli.failures import CliError

if TYPE_CHECKING:
    from core.kit.settings import Settings
    from waybill.client import WaybillClient


def connect(url: str | None, api_key: str | None) -> "WaybillClient":
    """A client for the API. Raises `CliError` when no key can be found; opens no connection yet.

    The local stack's key is sent to that stack only, never to another `url`.
    """
    from core.kit.settings import get_settings
    from waybill.client import WaybillClient

    settings = get_settings()
    where, key = find_api(settings, url, api_key)
    return WaybillClient(where, key, project=settings.project if api_key else None)


def find_api(settings: "Settings", url: str | None, api_key: str | None) -> tuple[str, str]:
    """The address of the API, and the key. Raises `CliError` when no key can be found."""
    if api_key:
        return url or settings.url or _default_url(settings), api_key
    local_url, local_key = _local_stack(settings)
    if local_key is not None and (url is None or url.rstrip("/") == local_url):
        return local_url, local_key
    where = f"for {url}" if local_key is not None else f"and no stack is running in {settings.home}"
    raise CliError(
        f"no API key: neither --api-key nor WAYBILL_API_KEY is set, {where}".replace(", for", " for"),
        remedy="start a local stack with `waybill up`, or create a key for another API with `waybill keys create`",
        code="no_api_key",
        exit_code=Exit.DENIED,
    )


def _local_stack(settings: "Settings") -> tuple[str, str | None]:
    from waybill.stack.home import running_stack

    found = (running_stack(settings.home) or {}).get("settings", {})
    return str(found.get("url", "")), found.get("api_key")


def _default_url(settings: "Settings") -> str:
    from waybill.stack.plan import url_of

    return url_of(settings)
