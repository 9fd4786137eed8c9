"""Deployments: provider endpoints. They belong to the installation, never to a tenant.

An address that a tenant could choose would be a way into the network, so deployments are defined in a file of the
operator (TOML, ``WAYBILL_DEPLOYMENTS_FILE``), and in no table. The file contains no credentials, it names them: as a
file in ``WAYBILL_SECRETS_DIR`` or an environment variable, read at each use, so that a changed key needs no restart. No
message of this module repeats the value of ``credential``, because the operator may have put the key itself there.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from core.kit.credentials import CredentialName, PlainUrl, read_credential
from core.kit.errors import Unavailable
from core.kit.operator_files import OperatorFile
from core.kit.settings import Settings
from core.registry.data_classes import DataClass

DEFAULT = "default"
# Each embedded model is its own deployment, reached in this process.
EMBEDDED = ("local/extractive", "local/all-MiniLM-L6-v2-int8", "local/smollm2")
_NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$"

Name = Annotated[str, Field(pattern=_NAME)]
# Whether usage reports include these tokens in their totals, or count them separately.
Counted = Literal["included", "beside"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """A provider endpoint. `data_class_ceiling` is the highest class that may be sent there.

    `cached_tokens` and `reasoning_tokens` define how its reports count them; None infers it from their sums.
    Its `repr` shows no address and no credential.
    """

    name: str
    provider: str
    base_url: str | None = field(default=None, repr=False)
    region: str | None = None
    api_version: str | None = None
    data_class_ceiling: DataClass = DataClass.RESTRICTED
    timeout_seconds: float = 60.0
    max_attempts: int = 3
    cached_tokens: Counted | None = None
    reasoning_tokens: Counted | None = None
    _credential: SecretStr | None = field(default=None, repr=False)
    _key: SecretStr | None = field(default=None, repr=False)
    _secrets_dir: Path | None = field(default=None, repr=False)

    @property
    def has_credential(self) -> bool:
        """Whether a key is configured; without one, calls are unauthenticated, or on Azure use Entra ID."""
        return self._key is not None or self._credential is not None

    def read_key(self) -> str | None:
        """The key, read now; None when this deployment needs none. Raises `Unavailable` when it cannot be read."""
        if self._key is not None:
            return self._key.get_secret_value()
        if self._credential is None:
            return None
        return read_credential(
            self._credential.get_secret_value(), self._secrets_dir, whose=f"the deployment {self.name}"
        )


class _Entry(BaseModel):
    """One ``[[deployment]]`` of the file."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    name: Name
    provider: Literal["openai-compatible", "azure-openai", "anthropic"]
    base_url: PlainUrl | None = None
    region: Annotated[str, Field(min_length=1, max_length=100)] | None = None
    api_version: Annotated[str, Field(min_length=1, max_length=50)] | None = None
    credential: CredentialName | None = None
    data_class_ceiling: DataClass = DataClass.RESTRICTED
    timeout_seconds: Annotated[float, Field(gt=0, le=3600)] = 60.0
    max_attempts: Annotated[int, Field(ge=1, le=10)] = 3
    cached_tokens: Counted | None = None
    reasoning_tokens: Counted | None = None


class _File(BaseModel):
    """The file."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    deployment: list[_Entry] = Field(default_factory=list)


class DeploymentCatalogue:
    """The deployments of an installation, from its settings and its file. Read once; immutable."""

    def __init__(self, deployments: Mapping[str, Deployment]) -> None:
        self._deployments = dict(deployments)

    @property
    def names(self) -> tuple[str, ...]:
        """The names, sorted."""
        return tuple(sorted(self._deployments))

    def __iter__(self) -> Iterator[Deployment]:
        """The deployments by name."""
        return (self._deployments[name] for name in self.names)

    def find(self, name: str) -> Deployment | None:
        """The deployment of that name."""
        return self._deployments.get(name)

    def get(self, name: str) -> Deployment:
        """The deployment of that name. Raises `Unavailable`, which lists the existing ones."""
        found = self._deployments.get(name)
        if found is None:
            raise Unavailable(
                f"there is no deployment {name[:100]}; there are: {', '.join(self.names)}", code="deployment_unknown"
            )
        return found


def read_deployments(settings: Settings) -> DeploymentCatalogue:
    """The embedded models, the ``default`` of the ``WAYBILL_MODEL_…`` settings, and the operator's file.

    Raises `Unavailable` with code ``deployments_invalid`` for a file that cannot be read or is invalid; the
    message names the entry and the field, never a value.
    """
    known = {name: Deployment(name=name, provider="local", max_attempts=1) for name in EMBEDDED}
    if settings.model_base_url is not None:
        known[DEFAULT] = Deployment(
            name=DEFAULT,
            provider="openai-compatible",
            base_url=settings.model_base_url,
            timeout_seconds=settings.model_timeout_seconds,
            max_attempts=settings.model_max_attempts,
            _key=settings.model_api_key,
        )
    path = settings.deployments_file
    if path is None:
        return DeploymentCatalogue(known)
    file = OperatorFile(path, "WAYBILL_DEPLOYMENTS_FILE", code="deployments_invalid")
    for entry in file.read(_File).deployment:
        if entry.name in known:
            raise file.invalid(f"{entry.name} is described twice")
        if entry.base_url is None and entry.provider != "anthropic":
            raise file.invalid(f"{entry.name}: base_url is missing")
        if entry.provider == "anthropic" and (entry.cached_tokens or entry.reasoning_tokens):
            raise file.invalid(f"{entry.name}: cached_tokens and reasoning_tokens are for OpenAI's interface")
        known[entry.name] = Deployment(
            name=entry.name,
            provider=entry.provider,
            base_url=None if entry.base_url is None else str(entry.base_url).rstrip("/"),
            region=entry.region,
            api_version=entry.api_version,
            data_class_ceiling=entry.data_class_ceiling,
            timeout_seconds=entry.timeout_seconds,
            max_attempts=entry.max_attempts,
            cached_tokens=entry.cached_tokens,
            reasoning_tokens=entry.reasoning_tokens,
            _credential=entry.credential,
            _secrets_dir=settings.secrets_dir,
        )
    return DeploymentCatalogue(known)
