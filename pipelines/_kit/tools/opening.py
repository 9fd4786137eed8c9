"""The tools of this process: the operator's file, read once, and the client that calls them."""

import os
from dataclasses import dataclass
from functools import lru_cache
from threading import Lock

from core.kit.settings import get_settings
from pipelines._kit.tools.box import Client
from pipelines._kit.tools.client import McpClient
from pipelines._kit.tools.servers import ToolBook, read_tool_servers

_opening = Lock()


@dataclass(frozen=True, slots=True)
class Tools:
    """What a capability builds a `pipelines._kit.tools.box.ToolBox` from."""

    book: ToolBook
    client: Client


def get_tools() -> Tools:
    """The tools, opened anew after a fork. Raises `core.kit.errors.Unavailable` when the file cannot be used."""
    with _opening:
        return _open_tools(os.getpid())


@lru_cache(maxsize=1)
def _open_tools(_process_id: int) -> Tools:
    return Tools(read_tool_servers(get_settings()), McpClient())
