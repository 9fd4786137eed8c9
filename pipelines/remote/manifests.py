"""The operator's file of remote capabilities, read into manifests.

The API loads it too, so it knows JSON Schema and nothing of HTTP. A tenant cannot write here: an address chosen by a
tenant would be a way into the network.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AnyHttpUrl,
    BaseModel,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    SecretStr,
    field_validator,
    model_validator,
)
from pydantic_core import CoreSchema

from core.capability import Manifest
from core.guard.records import KindName
from core.keys.scopes import SCOPES
from core.kit.credentials import CredentialName
from core.kit.money import ZERO
from core.kit.operator_files import OperatorFile
from core.kit.settings import Settings

_ID = r"^[a-z][a-z0-9_]{0,63}\.[a-z][a-z0-9_]{0,63}$"
_SCHEMA_MAX_BYTES = 1024 * 1024
_ENTRY = "pipelines.remote.runner"
Path_ = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$")]


@dataclass(frozen=True, slots=True)
class Remote:
    """How one service is called. `body` maps members of the request to paths such as ``input.text``; None: the input.

    `result` is the path of the result in the answer; None: all of it. Values of the kinds `receives` reach it as they
    are, where the guard's policy redacts what goes to tools. `baggage`: it receives the ids of the work it does (W3C
    baggage). Printing one shows no address.
    """

    id: str
    url: str
    credential: SecretStr | None
    secrets_dir: Path | None
    mode: Literal["answer", "poll"]
    timeout_seconds: float
    poll_seconds: float
    max_tries: int
    body: Mapping[str, str] | None
    result: str | None
    receives: frozenset[str] = frozenset()
    baggage: bool = False


class _Entry(BaseModel):
    """One ``[[capability]]`` of the file."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    id: Annotated[str, Field(pattern=_ID)]
    version: str = "1"
    title: Annotated[str, Field(min_length=1, max_length=200)]
    description: Annotated[str, Field(min_length=1)]
    input_schema: str = Field(description="A file beside this one.")
    output_schema: str
    url: AnyHttpUrl
    allow_http: bool = False
    credential: CredentialName | None = None
    mode: Literal["answer", "poll"] = "answer"
    timeout_seconds: Annotated[float, Field(gt=0, le=3600)] = 60.0
    poll_seconds: Annotated[float, Field(ge=0.05, le=600)] = 2.0
    max_tries: Annotated[int, Field(ge=1, le=10)] = 3
    max_attempts: Annotated[int, Field(ge=1, le=100)] = 3
    deadline_seconds: Annotated[int, Field(ge=1, le=366 * 86_400)] = 3600
    price_hint: str = "what the service costs is not metered"
    reserve_usd: Decimal = ZERO
    scopes: frozenset[str] = frozenset()
    written_by: Literal["machine", "none"] = "machine"
    body: dict[str, Path_] | None = None
    result: Path_ | None = None
    receives: frozenset[KindName] = frozenset()
    baggage: bool = False

    @field_validator("scopes")
    @classmethod
    def _are_scopes(cls, value: frozenset[str]) -> frozenset[str]:
        if unknown := sorted(value - set(SCOPES)):
            raise ValueError(f"scopes: not a scope: {', '.join(unknown)}")
        return value

    @model_validator(mode="after")
    def _is_private(self) -> "_Entry":
        if self.url.username or self.url.password:
            raise ValueError("url holds a user or a password; name a credential instead")
        if self.url.scheme != "https" and not self.allow_http:
            raise ValueError("url is not https; say allow_http = true where the way to the service is private")
        for path in (self.body or {}).values():
            if path.partition(".")[0] not in {"input", "job"}:
                raise ValueError("body: a path begins with input. or job.")
        return self


class _File(BaseModel):
    """The file."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    capability: list[_Entry] = Field(default_factory=list)


def read_remote(settings: Settings) -> tuple[tuple[Manifest, Remote], ...]:
    """The remote capabilities of the file in ``WAYBILL_REMOTE_CAPABILITIES_FILE``; none without it.

    Raises `Unavailable` with code ``remote_capabilities_invalid``; the message names entry and field, never a value.
    """
    path = settings.remote_capabilities_file
    return () if path is None else _read(path, settings.secrets_dir)


@lru_cache(maxsize=4)
def _read(path: Path, secrets_dir: Path | None) -> tuple[tuple[Manifest, Remote], ...]:
    found = []
    file = OperatorFile(path, "WAYBILL_REMOTE_CAPABILITIES_FILE", code="remote_capabilities_invalid")
    for entry in file.read(_File).capability:
        manifest = Manifest(
            id=entry.id,
            version=entry.version,
            title=entry.title,
            description=entry.description,
            input=_model("Input", _schema(file, path, entry.id, entry.input_schema)),
            output=_model("Output", _schema(file, path, entry.id, entry.output_schema)),
            entry=f"{_ENTRY}:{entry.id.replace('.', '__')}",
            max_attempts=entry.max_attempts,
            deadline_seconds=entry.deadline_seconds,
            price_hint=entry.price_hint,
            reserve_usd=entry.reserve_usd,
            scopes=entry.scopes,
            written_by=entry.written_by,
        )
        remote = Remote(
            id=entry.id,
            url=str(entry.url),
            credential=entry.credential,
            secrets_dir=secrets_dir,
            mode=entry.mode,
            timeout_seconds=entry.timeout_seconds,
            poll_seconds=entry.poll_seconds,
            max_tries=entry.max_tries,
            body=entry.body,
            result=entry.result,
            receives=entry.receives,
            baggage=entry.baggage,
        )
        found.append((manifest, remote))
    return tuple(found)


def _model(name: str, schema: dict[str, Any]) -> type[BaseModel]:
    """A model that takes any object that obeys `schema`, and publishes that schema as its own."""
    from jsonschema import Draft202012Validator

    from core.kit.expressions import validator_of

    validator = validator_of(schema, format_checker=Draft202012Validator.FORMAT_CHECKER)

    class Obeying(BaseModel):
        model_config = ConfigDict(extra="allow", protected_namespaces=(), title=schema.get("title", name))

        @model_validator(mode="before")
        @classmethod
        def _obeys(cls, value: Any) -> Any:
            fault = next(iter(sorted(validator.iter_errors(value), key=lambda error: list(map(str, error.path)))), None)
            if fault is not None:
                place = ".".join(str(part) for part in fault.absolute_path)
                raise ValueError(f"{place}: {fault.message[:300]}" if place else fault.message[:300])
            return value

        @classmethod
        def __get_pydantic_json_schema__(cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
            return dict(schema)

    Obeying.__name__ = Obeying.__qualname__ = name
    return Obeying


def _schema(operator_file: OperatorFile, path: Path, capability: str, name: str) -> dict[str, Any]:
    from jsonschema import Draft202012Validator, SchemaError

    from core.kit.expressions import check_patterns

    file, which = path.parent / name, f"{capability}: {name[:100]}"
    try:
        if not file.resolve().is_relative_to(path.parent.resolve()) or file.stat().st_size > _SCHEMA_MAX_BYTES:
            raise operator_file.invalid(f"{which} is no schema of up to a megabyte beside the file")
        schema = json.loads(file.read_text(encoding="utf-8"))
        Draft202012Validator.check_schema(schema)
    except (OSError, ValueError) as error:
        raise operator_file.invalid(f"{which} cannot be read as JSON ({type(error).__name__})") from None
    except SchemaError as error:
        raise operator_file.invalid(f"{which} is no JSON Schema: {error.message[:200]}") from None
    try:
        check_patterns(schema)
    except ValueError as error:
        raise operator_file.invalid(f"{which}: {error}") from None
    if not isinstance(schema, dict) or schema.get("type") != "object":
        raise operator_file.invalid(f'{which} is not a schema of "type": "object"')
    return schema
