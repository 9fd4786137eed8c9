"""The sample business system under the tests: a database and a port of its own, and the file that attaches it."""

import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import psycopg

from core.kit.settings import Settings
from pipelines._kit.tools.client import McpClient
from pipelines._kit.tools.factory import Tools
from waybill.sample_system.server import SampleSystem

TOKEN_NAME = "SAMPLE_TOKEN"
_SHIPPED_URL = "http://127.0.0.1:8091/mcp"


@dataclass
class Attached:
    """A running sample system, and the settings under which it is attached."""

    system: SampleSystem
    settings: Settings
    serve: Callable[[int], SampleSystem]

    @contextmanager
    def away(self) -> Iterator[None]:
        """While the block runs the system is stopped; then another serves its database at its address."""
        self.system.__exit__(None, None, None)
        yield
        self.system = self.serve(self.system.port).__enter__()

    @property
    def tools(self) -> Tools:
        """The tools as a worker opens them."""
        return Tools(self.settings, McpClient())

    def rows(self, query: str, *values: Any) -> list[dict[str, Any]]:
        """What the system's database says."""
        with self.system.database.transaction() as connection:
            return connection.execute(query, values).fetchall()

    def count(self, table: str, where: str = "true") -> int:
        """How many rows of `table` fit."""
        return int(self.rows(f"SELECT count(*) AS n FROM {table} WHERE {where}")[0]["n"])


def tool_servers_file(folder: Path, url: str, *, replacing: dict[str, str] | None = None) -> Path:
    """The shipped file, for a system at `url`, with pieces of its text replaced."""
    text = files("waybill.sample_system").joinpath("tool_servers.toml").read_text(encoding="utf-8")
    text = text.replace(_SHIPPED_URL, url).replace("WAYBILL_SAMPLE_SYSTEM_TOKEN", TOKEN_NAME)
    for old, new in (replacing or {}).items():
        assert old in text, old
        text = text.replace(old, new)
    path = folder / f"tools-{secrets.token_hex(4)}.toml"
    path.write_text(text, encoding="utf-8")
    return path


@contextmanager
def attached(postgres_url: str, folder: Path) -> Iterator[Attached]:
    """A system of one's own, attached by the shipped file; its token is a file in `folder`."""
    token, name = secrets.token_urlsafe(16), f"sample_{secrets.token_hex(6)}"
    (folder / TOKEN_NAME).write_text(token, encoding="utf-8")

    def serve(port: int) -> SampleSystem:
        return SampleSystem(postgres_url, token, name=name, port=port)

    try:
        system = serve(0).__enter__()
        path = tool_servers_file(folder, system.url)
        found = Attached(system, Settings(tool_servers_file=path, secrets_dir=folder, home=folder), serve)
        try:
            yield found
        finally:
            found.system.__exit__(None, None, None)
    finally:
        with psycopg.connect(postgres_url, autocommit=True) as connection:
            connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
