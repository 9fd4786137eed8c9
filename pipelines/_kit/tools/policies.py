"""The operator's rules for each tool. Plain values; ``servers`` reads them from the file."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import Any
from uuid import UUID

from core.kit.credentials import read_credential
from core.kit.data_classes import DataClass


class Effect(StrEnum):
    """The effect of a tool on the world."""

    READ = "read"
    WRITE = "write"
    MONEY = "money"


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolServer:
    """A server of tools. `projects` are those that may use it, None for all. Printing one shows no address.

    `baggage`: it receives the ids of the work it does (W3C baggage).
    """

    name: str
    url: str = field(repr=False)
    timeout_seconds: float
    max_attempts: int
    projects: frozenset[UUID] | None = None
    baggage: bool = False
    credential: str | None = field(default=None, repr=False)
    secrets_dir: Path | None = field(default=None, repr=False)

    def read_token(self) -> str | None:
        """The bearer token, read now; None when the server needs none. Raises `core.kit.errors.Unavailable`."""
        if self.credential is None:
            return None
        return read_credential(self.credential, self.secrets_dir, whose=f"the tool server {self.name}")


@dataclass(frozen=True, slots=True)
class ReadBack:
    """How to find out whether an effect has happened: a reading operation and where its arguments come from.

    `arguments` are its own names and the effect's; the effect happened when the answer holds a value at the path
    `found`.
    """

    operation: str
    arguments: Mapping[str, str]
    found: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolPolicy:
    """One tool: what it does, how it is called, and how far a job may go with it.

    Capabilities request an `operation`; `arguments` and `results` translate their names into the tool's: an argument's
    name, or the dotted path of a value in the tool's answer. Amounts are in `currency`. Of a `money` tool, amounts
    above `approval_above` need a person; `approval_of_project` narrows or widens that for single projects. Values of
    the kinds `receives` reach it as they are, where the guard's policy redacts what goes to tools. A job that calls it
    has data of `data_class`. An approval is valid for `approval_valid_seconds`.

    A call that may have happened is repeated under its key (`idempotency_argument`), or looked up (`read_back`), or a
    person is asked.
    """

    tool: str
    operation: str
    server: ToolServer
    effect: Effect
    calls_per_job: int
    arguments: Mapping[str, str]
    results: Mapping[str, str]
    idempotency_argument: str | None = None
    read_back: "ReadBack | None" = None
    amount_argument: str | None = None
    currency: str | None = None
    amount_per_job: Decimal | None = None
    approval_above: Decimal = Decimal(0)
    approval_of_project: Mapping[UUID, Decimal] = field(default_factory=dict)
    compensation: str | None = None
    compensation_arguments: Mapping[str, str] = field(default_factory=dict)
    receives: frozenset[str] = frozenset()
    data_class: DataClass | None = None
    approval_valid_seconds: int = 3600

    def approval_threshold(self, project_id: UUID) -> Decimal:
        """The amount above which a person must approve in this project."""
        return self.approval_of_project.get(project_id, self.approval_above)

    @property
    def version(self) -> str:
        """The same for the same rules at the same address, whatever token the tool is called with."""
        server = {"name": self.server.name, "url": self.server.url}
        rules = {each.name: getattr(self, each.name) for each in fields(self) if each.name != "server"}
        return digest({**rules, "server": server})


def digest(value: Any) -> str:
    """The SHA-256 of `value` as JSON: the same for the same content, whatever the order of names."""
    return hashlib.sha256(_canonical(value).encode()).hexdigest()


def _canonical(value: Any) -> str:
    # A model may write anything: integers above 64 bits, unpaired surrogates.
    return json.dumps(_plain(value), sort_keys=True, separators=(",", ":"), default=str)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(name): _plain(item) for name, item in value.items()}
    if is_dataclass(value) and not isinstance(value, type):
        return {each.name: _plain(getattr(value, each.name)) for each in fields(value)}
    if isinstance(value, frozenset | set):
        return sorted(str(item) for item in value)
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value
