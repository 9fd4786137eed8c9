"""The tools of this process: the operator's file, read again when it changes, and the client that calls them."""

import os
from dataclasses import dataclass, field
from functools import lru_cache
from threading import Lock

from core.kit.settings import Settings, get_settings
from pipelines._kit.tools.client import McpClient, ToolClient
from pipelines._kit.tools.servers import ToolPolicies, read_tool_servers

_opening = Lock()


@dataclass(slots=True)
class Tools:
    """The parts from which a capability builds a `pipelines._kit.tools.box.ToolBox`. Safe in several threads."""

    settings: Settings
    client: ToolClient
    _read: tuple[object, ToolPolicies] | None = field(default=None, repr=False)

    @property
    def policies(self) -> ToolPolicies:
        """The current version of the operator's file. Raises `core.kit.errors.Unavailable` when it cannot be used."""
        written, known = self._written(), self._read
        if known is None or known[0] != written:
            self._read = known = (written, read_tool_servers(self.settings))
        return known[1]

    def _written(self) -> object:
        path = self.settings.tool_servers_file
        try:
            found = None if path is None else path.stat()
        except OSError:
            return None
        return None if found is None else (found.st_mtime_ns, found.st_size, found.st_ino)


def get_tools() -> Tools:
    """The tools, reopened after a fork. Raises `core.kit.errors.Unavailable` when the file cannot be used."""
    with _opening:
        return _open_tools(os.getpid())


@lru_cache(maxsize=1)
def _open_tools(_process_id: int) -> Tools:
    tools = Tools(get_settings(), McpClient())
    # A worker does not start with an invalid file.
    assert tools.policies is not None
    return tools
