"""The sample business system as a part of the stack, attached unless the operator attached another one."""

from importlib.resources import files
from pathlib import Path

from core.kit.settings import Settings
from waybill.stack.home import Home

TOKEN = "WAYBILL_SAMPLE_SYSTEM_TOKEN"  # noqa: S105 - the name of a variable
TOKEN_FILE = "sample_system.token"  # noqa: S105 - the name of a file
PORT = 8091
_FILE = "sample_tool_servers.toml"
_SHIPPED_PORT = f"127.0.0.1:{PORT}/"


def attach(settings: Settings, home: Home, port: int) -> Settings:
    """The settings under which workers find the sample system on `port`; creates its token and its file."""
    home.load_or_create_secret(TOKEN_FILE)
    shipped = files("waybill.sample_system").joinpath("tool_servers.toml").read_text(encoding="utf-8")
    path = _path(settings)
    path.write_text(shipped.replace(_SHIPPED_PORT, f"127.0.0.1:{port}/"), encoding="utf-8")
    return settings.model_copy(update={"tool_servers_file": path})


def attached_port(settings: Settings) -> int | None:
    """The port of the attached sample system; None when another system is attached, or none."""
    if settings.tool_servers_file != _path(settings):
        return None
    text = settings.tool_servers_file.read_text(encoding="utf-8")
    return int(text.partition("127.0.0.1:")[2].partition("/")[0])


def token_of(settings: Settings) -> dict[str, str]:
    """The sample system's token under its name, for it and for the workers that call it."""
    return {TOKEN: (settings.home / TOKEN_FILE).read_text(encoding="utf-8").strip()}


def _path(settings: Settings) -> Path:
    return settings.home / _FILE
