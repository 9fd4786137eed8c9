"""The operator's file of tool servers (TOML, ``WAYBILL_TOOL_SERVERS_FILE``).

Tool servers belong to the installation, never to a tenant: an address that a tenant could choose would be a way into
the network. Tools that the file does not name do not exist: a server may offer a hundred, and a job may call only those
listed here. ``docs/howto/attach-your-business-system.md`` explains each field.
"""

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Annotated, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field
from pydantic.functional_validators import BeforeValidator, model_validator

from core.guard.records import KindName
from core.kit.credentials import CredentialName, PlainUrl
from core.kit.data_classes import DataClass
from core.kit.ids import PROJECT, decode
from core.kit.operator_files import OperatorFile
from core.kit.settings import Settings
from pipelines._kit.tools.policies import Effect, ReadBack, ToolPolicy, ToolServer

_Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9._-]{0,99}$")]
_Names = dict[_Name, Annotated[str, Field(min_length=1, max_length=200)]]


def _written(value: object) -> object:
    # TOML's own numbers with a fraction are floats, and a threshold of 0.1 would not be exact.
    if isinstance(value, float):
        raise ValueError('is money: write it as text, for example "50.00"')  # noqa: TRY004 - pydantic's own kind
    return value


_Amount = Annotated[Decimal, BeforeValidator(_written), Field(ge=0, max_digits=18, decimal_places=9)]
_Project = Annotated[UUID, BeforeValidator(lambda value: decode(PROJECT, str(value)))]


class _Tool(BaseModel):
    """One ``[[tool_server.tool]]``."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    name: _Name
    operation: _Name | None = None
    effect: Effect
    calls_per_job: Annotated[int, Field(ge=1, le=1000)] | None = None
    arguments: _Names = Field(default_factory=dict)
    results: _Names = Field(default_factory=dict)
    idempotency_argument: _Name | None = None
    read_back: _Name | None = None
    read_back_arguments: _Names = Field(default_factory=dict)
    read_back_found: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    ask_when_unknown: bool = False
    amount_argument: _Name | None = None
    currency: Annotated[str, Field(pattern="^[A-Z]{3}$")] | None = None
    amount_per_job: _Amount | None = None
    approval_above: _Amount = Decimal(0)
    approval_of_project: dict[_Project, _Amount] = Field(default_factory=dict)
    approval_valid_seconds: Annotated[int, Field(ge=1, le=30 * 86_400)] = 3600
    compensation: _Name | None = None
    compensation_arguments: _Names = Field(default_factory=dict)
    receives: list[KindName] = Field(default_factory=list)
    data_class: DataClass | None = None

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        if (self.read_back is None) != (self.read_back_found is None) or (
            self.read_back_arguments and not self.read_back
        ):
            raise ValueError("read_back, read_back_arguments and read_back_found belong together")
        if self.effect is not Effect.READ and not (
            self.idempotency_argument or self.read_back or self.ask_when_unknown
        ):
            raise ValueError(
                "a tool with an effect needs idempotency_argument, or a retry would do it twice; a system without keys"
                " needs read_back, or ask_when_unknown = true, and is never called again by itself"
            )
        money = (self.amount_argument, self.currency, self.amount_per_job)
        if self.effect is Effect.MONEY and None in money:
            raise ValueError("a money tool needs amount_argument, currency and amount_per_job")
        if self.effect is not Effect.MONEY and any(given is not None for given in money):
            raise ValueError("amount_argument, currency and amount_per_job belong to money tools")
        return self


class _Server(BaseModel):
    """One ``[[tool_server]]``."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    name: _Name
    url: PlainUrl
    credential: CredentialName | None = None
    timeout_seconds: Annotated[float, Field(gt=0, le=300)] = 15.0
    max_attempts: Annotated[int, Field(ge=1, le=10)] = 3
    projects: list[_Project] | None = None
    baggage: bool = False
    tool: list[_Tool] = Field(min_length=1)


class _File(BaseModel):
    """The file."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    tool_server: list[_Server] = Field(default_factory=list)


class ToolPolicies:
    """The tools of an installation by operation. Read once; immutable."""

    def __init__(self, policies: Mapping[str, ToolPolicy]) -> None:
        self._policies = dict(policies)

    def __iter__(self) -> Iterator[ToolPolicy]:
        """The tools, by the operation they serve."""
        return (self._policies[operation] for operation in sorted(self._policies))

    def find(self, operation: str, project_id: UUID) -> ToolPolicy | None:
        """The tool that serves `operation` for a project; None when there is none that the project may use."""
        found = self._policies.get(operation)
        if found is None or (found.server.projects is not None and project_id not in found.server.projects):
            return None
        return found


def read_tool_servers(settings: Settings) -> ToolPolicies:
    """The operator's file; no tools at all without one.

    Raises `Unavailable` (``tool_servers_invalid``) that names the entry and the field, never a value.
    """
    path = settings.tool_servers_file
    if path is None:
        return ToolPolicies({})
    policies: dict[str, ToolPolicy] = {}
    file = OperatorFile(path, "WAYBILL_TOOL_SERVERS_FILE", code="tool_servers_invalid")
    for entry in file.read(_File).tool_server:
        server = ToolServer(
            name=entry.name,
            url=str(entry.url),
            timeout_seconds=entry.timeout_seconds,
            max_attempts=entry.max_attempts,
            projects=None if entry.projects is None else frozenset(entry.projects),
            baggage=entry.baggage,
            credential=None if entry.credential is None else entry.credential.get_secret_value(),
            secrets_dir=settings.secrets_dir,
        )
        for tool in entry.tool:
            policy = _policy(server, tool)
            if policy.operation in policies:
                raise file.invalid(f"two tools serve the operation {policy.operation}")
            policies[policy.operation] = policy
    for policy in policies.values():
        looked_up = policy.read_back
        if looked_up is not None:
            reading = policies.get(looked_up.operation)
            if reading is None or reading.server is not policy.server or reading.effect is not Effect.READ:
                raise file.invalid(f"{policy.operation}: its read_back is no reading operation of its server")
        undone_by = policy.compensation
        if undone_by is not None and (undone_by not in policies or policies[undone_by].server is not policy.server):
            raise file.invalid(f"{policy.operation}: its compensation {undone_by} is no operation of its server")
    return ToolPolicies(policies)


def _policy(server: ToolServer, tool: _Tool) -> ToolPolicy:
    default_calls = 50 if tool.effect is Effect.READ else 1
    return ToolPolicy(
        tool=tool.name,
        operation=tool.operation or tool.name,
        server=server,
        effect=tool.effect,
        calls_per_job=tool.calls_per_job or default_calls,
        arguments=tool.arguments,
        results=tool.results,
        idempotency_argument=tool.idempotency_argument,
        read_back=(
            ReadBack(tool.read_back, tool.read_back_arguments, tool.read_back_found)
            if tool.read_back and tool.read_back_found
            else None
        ),
        amount_argument=tool.amount_argument,
        currency=tool.currency,
        amount_per_job=tool.amount_per_job,
        approval_above=tool.approval_above,
        approval_of_project=tool.approval_of_project,
        approval_valid_seconds=tool.approval_valid_seconds,
        compensation=tool.compensation,
        compensation_arguments=tool.compensation_arguments,
        receives=frozenset(tool.receives),
        data_class=tool.data_class,
    )
