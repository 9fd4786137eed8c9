"""Settings, read once per process from the environment.

Order of precedence: an explicit environment variable, then a file of that name in ``WAYBILL_SECRETS_DIR`` (as Docker
and Kubernetes mount secrets), then the *run file* that ``waybill up`` leaves in ``$WAYBILL_HOME/stack.json`` while the
embedded stack is running, then the default written here.
"""

import json
import os
from functools import lru_cache
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import AliasChoices, BeforeValidator, Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SecretsSettingsSource, SettingsConfigDict

from core.kit.ids import ORGANIZATION, decode
from core.kit.issuers import OidcIssuer

RUN_FILE = "stack.json"
# Below WAYBILL_HOME: the secrets of each process that `waybill up` has started.
SECRETS_FOLDER = "secrets"
PRIVATE_NETWORKS = (
    "127.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "::1/128",
    "fc00::/7",
)
OrganizationId = Annotated[UUID, BeforeValidator(lambda value: decode(ORGANIZATION, value))]


def default_home() -> Path:
    """The folder that holds the embedded stack's data, following the XDG base directory specification."""
    base = os.environ.get("XDG_DATA_HOME") or str(Path.home() / ".local" / "share")
    return Path(base) / "waybill"


class RunFileSource(PydanticBaseSettingsSource):
    """Reads the addresses of a running embedded stack, so that a second terminal needs no exports."""

    def get_field_value(self, field: Any, field_name: str) -> tuple[Any, str, bool]:  # noqa: ARG002
        """Unused: the file is read whole, not field by field."""
        return None, field_name, False

    def __call__(self) -> dict[str, Any]:
        """The settings in the run file that the environment does not override."""
        home = Path(os.environ.get("WAYBILL_HOME") or default_home())
        if Path(os.environ.get("WAYBILL_SECRETS_DIR") or "/").is_relative_to(home / SECRETS_FOLDER):
            # A process of that stack was given its own secrets only.
            return {}
        try:
            found = json.loads((home / RUN_FILE).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        known = found.get("settings", {}) if isinstance(found, dict) else {}
        names = {name: field.validation_alias for name, field in self.settings_cls.model_fields.items()}
        explicit = {key.upper() for key in os.environ}
        return {key: value for key, value in known.items() if key in names and not _spelled(key, names[key]) & explicit}


def _spelled(field: str, alias: object) -> set[str]:
    choices = alias.choices if isinstance(alias, AliasChoices) else []
    return {f"WAYBILL_{field.upper()}", *(str(choice).upper() for choice in choices)}


class Settings(BaseSettings):
    """Everything an operator may set. ``docs/reference/settings.md`` is written from these descriptions."""

    model_config = SettingsConfigDict(env_prefix="WAYBILL_", extra="ignore", populate_by_name=True)

    environment: Literal["development", "production"] = Field(
        "development", description="Named in traces; in production the doctor is stricter."
    )
    home: Path = Field(default_factory=default_home, description="Folder of the embedded stack and of local blobs.")
    database_url: Annotated[
        SecretStr | None,
        Field(
            validation_alias=AliasChoices("DATABASE_URL", "WAYBILL_DATABASE_URL", "database_url"),
            description="PostgreSQL 18 with pgvector; unset means the embedded one. See [TLS and poolers]"
            "(../howto/own-services.md#tls).",
        ),
    ] = None
    database_prepared_statements: bool = Field(
        True,
        description="Prepare what a connection executes often. `false` behind a pooler in transaction mode that loses"
        " prepared statements, such as PgBouncer before 1.21.",
    )
    redis_url: Annotated[
        SecretStr | None,
        Field(
            validation_alias=AliasChoices("REDIS_URL", "WAYBILL_REDIS_URL", "redis_url"),
            description="Redis 7 or Valkey 8 and newer, database 0, never evicting; unset means the embedded one.",
        ),
    ] = None
    key_prefix: str = Field("waybill", description="Every key in Redis begins with this word, on database 0.")
    database_pool_size: int = Field(16, ge=1, le=500, description="Connections to Postgres per process.")
    database_connect_timeout_seconds: float = Field(
        3.0, gt=0, description="How long a request waits for a connection before it is answered 503."
    )
    start_timeout_seconds: float = Field(
        120.0, ge=0, description="How long a process waits, before it starts, for Postgres and for its migrations."
    )
    database_statement_timeout_seconds: float = Field(15.0, gt=0, description="A statement that runs longer is ended.")
    redis_timeout_seconds: float = Field(2.0, gt=0, description="Bound of connecting to Redis and of every call.")

    blob_url: str | None = Field(
        None, description="file:///folder or azure://container; unset means a folder below WAYBILL_HOME."
    )
    azure_storage_connection_string: Annotated[
        SecretStr | None,
        Field(
            validation_alias=AliasChoices(
                "AZURE_STORAGE_CONNECTION_STRING",
                "WAYBILL_AZURE_STORAGE_CONNECTION_STRING",
                "azure_storage_connection_string",
            ),
            description="How to reach the storage account, for azure:// blobs.",
        ),
    ] = None
    azure_storage_account_url: str | None = Field(
        None, description="The account, reached with the identity of the environment (Entra ID) instead."
    )
    inline_payload_max_bytes: int = Field(64 * 1024, description="Larger inputs and results go to the blob store.")

    secret_key: SecretStr | None = Field(None, description="At least 32 random characters; keys the hash of API keys.")
    secret_keys_retired: list[SecretStr] = Field(
        default_factory=list,
        description="JSON list of earlier secret keys, whose API keys and sealed secrets stay good; see"
        " [rotate secrets](../runbooks/rotate-secrets.md).",
    )
    pseudonym_key: SecretStr | None = Field(
        None,
        description="At least 32 random characters; seals the values behind the guard's pseudonyms, for workers and"
        " API. Needed where a policy pseudonymizes or hashes.",
    )
    pseudonym_keys_retired: list[SecretStr] = Field(
        default_factory=list,
        description="JSON list of earlier keys of the guard's pseudonyms, which still find and open what they sealed;"
        " see [rotate secrets](../runbooks/rotate-secrets.md).",
    )
    signing_key: SecretStr | None = Field(
        None, description="32 random bytes in base64: the Ed25519 key that signs audit seals and waybills."
    )
    signing_keys_retired: list[str] = Field(
        default_factory=list,
        description="JSON list of public keys in base64 whose signatures stay good after a rotation.",
    )

    oidc_issuers: list[OidcIssuer] = Field(
        default_factory=list,
        description="JSON list of issuers whose bearer tokens are accepted; see [single sign-on]"
        "(../howto/single-sign-on.md).",
    )
    oidc_clock_skew_seconds: float = Field(60.0, ge=0, le=600, description="How far an issuer's clock may be off.")
    oidc_timeout_seconds: float = Field(3.0, gt=0, description="Bound of reading an issuer's signing keys.")
    oidc_keys_refresh_seconds: float = Field(3600.0, gt=0, description="How long signing keys are kept unasked.")
    oidc_keys_floor_seconds: float = Field(
        10.0, gt=0, description="An issuer is asked for its keys at most this often, whatever tokens come."
    )

    api_host: str = Field("127.0.0.1", description="Address on which the API listens.")
    api_port: int = Field(8080, ge=0, le=65535, description="Port on which the API listens.")
    api_body_max_bytes: int = Field(4 * 1024 * 1024, description="Largest JSON body; documents have their own limit.")
    api_head_max_bytes: int = Field(
        32 * 1024, ge=4096, le=1024 * 1024, description="Largest head of a request: its first line and all headers."
    )
    api_head_seconds: float = Field(
        10.0, gt=0, description="A connection that has sent no whole head for so long is closed."
    )
    api_keep_alive_seconds: int = Field(
        75,
        ge=1,
        description="How long an idle connection stays open: longer than proxies keep theirs (60 s), or they err.",
    )
    api_connections_max: int = Field(
        10_000,
        ge=1,
        description="Connections at once per process, and at most half of its open files; a new one then takes the"
        " place of the one that has waited longest for a request.",
    )
    api_connections_per_address: int = Field(
        256,
        ge=0,
        description="Connections at once from one address outside `WAYBILL_API_TRUSTED_PROXIES`; 0 means any.",
    )
    api_failed_authentications_per_minute: int = Field(
        60,
        ge=0,
        description="Keys and tokens from one address that may turn out to be wrong; further unknown ones are answered"
        " 429, and keys that were good here before still pass. 0 means any.",
    )
    api_trusted_proxies: list[str] = Field(
        default_factory=lambda: list(PRIVATE_NETWORKS),
        description="JSON list of CIDRs of proxies in front of the API: the client's address is then the last one in"
        " `X-Forwarded-For` that is not theirs, and nothing is counted by their own. Default: loopback and private"
        " networks. Name the addresses of a proxy that has public ones.",
    )
    file_max_bytes: int = Field(
        512 * 1024 * 1024, ge=1, description="Largest file that can be uploaded for jobs, in one request or in parts."
    )
    file_part_max_bytes: int = Field(64 * 1024 * 1024, ge=1, description="Largest part of an upload in parts.")
    file_retention_days: int | None = Field(
        None, ge=1, le=36_500, description="Uploaded files are removed after so many days; without it, when deleted."
    )
    document_max_bytes: int = Field(64 * 1024 * 1024, description="Largest single document that can be uploaded.")
    api_wait_max_seconds: int = Field(60, description="Upper bound of ?wait= and Prefer: wait=.")
    api_threads: int = Field(24, ge=1, description="Threads that serve synchronous routes.")
    idempotency_ttl_hours: int = Field(24, ge=1, description="How long an Idempotency-Key keeps its first answer.")
    retention_payload_days: int | None = Field(
        90,
        ge=1,
        description="How long inputs and results of ended jobs are kept; empty: for ever. Projects may differ.",
    )
    retention_event_days: int | None = Field(90, ge=1, description="How long the kept events of jobs stay.")
    retention_job_days: int | None = Field(730, ge=1, description="How long jobs stay, without their payloads.")
    retention_ledger_days: int | None = Field(2555, ge=1, description="How long ledger lines stay: about seven years.")
    retention_audit_days: int | None = Field(2555, ge=1, description="How long sealed audit records stay.")
    retention_interval_seconds: float = Field(3600.0, gt=0, description="How often what is past its clock is removed.")
    invariant_interval_seconds: float = Field(
        600.0, gt=0, description="How often the dispatcher checks that balances, reservations and ledger agree."
    )
    flower_port: int = Field(5555, ge=0, le=65535, description="Port of Flower, on loopback.")
    flower_password: SecretStr | None = Field(None, description="Password of Flower's user `waybill`.")
    metrics_port: int = Field(
        0,
        ge=0,
        le=65535,
        description="Port of the metrics of dispatcher, deliverer, guard and workers; 0 turns it off. The API serves"
        " its own at `/metrics`. See [metrics](metrics.md).",
    )
    metrics_host: str = Field("0.0.0.0", description="Address on which that port listens.")  # noqa: S104 - scraped
    metrics_organizations: list[OrganizationId] = Field(
        default_factory=list,
        description="JSON list of organizations whose spend, attempts and headroom are counted in the metrics by their"
        " ids; no other tenant is named there.",
    )

    lease_seconds: float = Field(15.0, gt=0, description="A running job whose lease is older is given to another.")
    heartbeat_seconds: float = Field(5.0, gt=0, description="How often a worker extends its leases.")
    job_children_max: int = Field(100, ge=1, le=10_000, description="How many child jobs one job may start.")
    job_depth_max: int = Field(4, ge=1, le=20, description="How many levels of jobs there may be below a job.")
    dispatcher_poll_seconds: float = Field(
        0.25,
        gt=0,
        description="How long the dispatcher waits for a hint. While it hears hints and no job is due, it waits for its"
        " next sweep.",
    )
    dispatcher_sweep_seconds: float = Field(
        1.0, gt=0, description="How often leases, deadlines and lost messages are looked for."
    )
    redispatch_after_seconds: float = Field(5.0, gt=0, description="Age at which an unclaimed message is looked for.")
    consumption_timeout_seconds: float = Field(
        25.0, gt=0, description="A worker with free slots and a filled queue that takes nothing this long is unhealthy."
    )
    project_max_concurrent_jobs: int = Field(64, ge=1, description="Default limit of a project; projects may override.")
    organization_weights: dict[OrganizationId, Annotated[int, Field(ge=1, le=1000)]] = Field(
        default_factory=dict,
        description='JSON object of organizations and their shares of every pool, such as `{"org_01j…": 3}`; one that'
        " is not named has 1.",
    )

    requests_per_minute: int = Field(
        60_000,
        ge=0,
        le=10_000_000,
        description="Rate of a key, or of a person; a limit set for the key may be lower. 0 means none.",
    )

    four_eyes: tuple[Literal["write", "money"], ...] = Field(
        ("money",),
        description="JSON list of effects that the key or person who asked for a job may not approve; `[]` lets them.",
    )

    guard_template: Literal["off", "observe", "balanced", "strict"] = Field(
        "off",
        description="The guard policy that holds for every tenant; theirs can only be stricter. See [guard](guard.md).",
    )

    extra_capabilities: list[str] = Field(
        default_factory=list,
        description='JSON list of "module:name": Manifests, or tuples of them, that no installed package declares.',
    )
    worker_memory_mb: dict[str, int] = Field(
        default_factory=dict,
        description='JSON object of pools and megabytes of resident memory, such as `{"research": 3000}`: a worker'
        " above it finishes what it runs and is replaced; at twice as much it ends at once. See"
        " [performance](performance.md).",
    )
    worker_max_jobs: int = Field(
        0, ge=0, description="Jobs after which a worker finishes what it runs and is replaced; 0 means any number."
    )
    drain_seconds: float = Field(20.0, ge=0, description="How long a stopping worker lets its jobs run before release.")

    batch_window: int = Field(
        200, ge=1, le=10_000, description="Jobs of one batch that are queued or running at once; the other lines wait."
    )

    webhook_allowed_networks: list[str] = Field(
        default_factory=list,
        description="JSON list of CIDRs outside the public internet that webhooks may reach, also over http and on any"
        " port; see [webhooks](webhooks.md).",
    )
    webhook_allowed_hosts: list[str] = Field(
        default_factory=list, description="JSON list of host names that webhooks may reach, wherever they lead."
    )
    webhook_ports: list[int] = Field(
        default_factory=lambda: [443, 8443], description="JSON list of ports of webhook URLs; empty: any."
    )
    webhook_ca_file: Path | None = Field(
        None, description="PEM file of further authorities whose certificates receivers may show."
    )
    webhook_timeout_seconds: float = Field(15.0, gt=0, le=60, description="Bound of one attempt to deliver.")
    webhook_concurrency: int = Field(64, ge=2, le=1000, description="Attempts under way at once in one process.")
    webhook_lane_concurrency: int = Field(4, ge=1, le=100, description="Attempts under way at once to one endpoint.")
    webhook_poll_seconds: float = Field(0.25, gt=0, description="How often due deliveries are looked for.")
    webhook_lease_seconds: float = Field(
        60.0, gt=0, description="After this long, what a lost process was delivering is tried again."
    )

    event_stream_ttl_seconds: int = Field(900, description="How long live events stay in Redis after the last one.")
    event_stream_max_length: int = Field(4000, description="Live events kept in Redis per job.")
    sse_keepalive_seconds: float = Field(10.0, gt=0, description="A comment line keeps an idle stream open this often.")
    sse_stall_seconds: float = Field(
        60.0, gt=0, description="A stream whose client takes nothing for so long is cut; the client may resume."
    )

    model_base_url: str | None = Field(None, description="An OpenAI-compatible endpoint; unset means local/extractive.")
    model_api_key: SecretStr | None = Field(None, description="The key of that endpoint.")
    model_name: str | None = Field(None, description="The model to ask for there.")
    model_timeout_seconds: float = Field(
        60.0, gt=0, description="Longest silence of the model before a call is given up."
    )
    model_max_attempts: int = Field(
        3, ge=1, le=10, description="How often one call may ask that endpoint, as long as no text has come."
    )
    deployments_file: Path | None = Field(
        None, description="TOML file of further deployments of model providers; see [models](models.md)."
    )
    remote_capabilities_file: Path | None = Field(
        None,
        description="TOML file of your own services as capabilities; see [how](../howto/bring-a-service.md).",
    )
    tool_servers_file: Path | None = Field(
        None,
        description="TOML file of the tool servers that capabilities may use; see [attach your business system]"
        "(../howto/attach-your-business-system.md).",
    )
    customer_operations_dir: Path | None = Field(
        None,
        description="Folder with your `policy.toml` and `replies.toml` for `customer_operations.resolve`, in place of"
        " the sample company's; see [attach your business system](../howto/attach-your-business-system.md).",
    )
    secrets_dir: Path | None = Field(
        None,
        description="Folder of files that each hold one credential or one setting and are named for it, such as"
        " `DATABASE_URL` or `WAYBILL_SECRET_KEY`, as Docker and Kubernetes mount secrets.",
    )
    model_cache_projects: list[UUID] = Field(
        default_factory=list,
        description="JSON list of projects whose identical model calls are answered from Redis; empty turns it off.",
    )
    model_cache_ttl_seconds: int = Field(3600, ge=1, description="How long such an answer is kept.")

    web_search: Literal["searxng", "tavily", "bing"] | None = Field(
        None,
        description="The service that `research.report` may ask when a job wants the web; unset means that none may.",
    )
    web_search_url: str | None = Field(
        None, description="Its address, https only; Tavily's own by default, the other two have none."
    )
    web_search_key: SecretStr | None = Field(None, description="Its key; SearXNG may do without.")
    web_search_timeout_seconds: float = Field(10.0, gt=0, le=120, description="Bound of one web search.")

    guard_url: str | None = Field(
        None,
        pattern=r"^(unix:///|https?://)",
        description="Where `waybill guard serve` answers: `unix:///PATH`, or `http://HOST:PORT`. Unset: nothing looks"
        " for personal data and injections.",
    )
    guard_timeout_seconds: float = Field(
        15.0,
        gt=0,
        le=300,
        description="How long the guard may take for one request, which is 32,000 characters at most.",
    )
    guard_processes: int = Field(
        1, ge=1, le=64, description="Processes that analyze texts beside each other; each holds the models in memory."
    )

    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="Least severe lines to write.")
    log_repeats_per_minute: int = Field(
        20,
        ge=0,
        description="How often a minute the same warning or error is written; further ones are counted, and one line"
        " says how many there were. 0 writes all. See [logs](logs.md).",
    )
    log_exception_text: bool = Field(
        default=False,
        description="Write into the worker's log what exceptions of capabilities say, redacted by the guard where there"
        " is one. They may quote what a job carries: for development.",
    )
    log_format: Literal["json", "console"] = Field("json", description="`console` is for people.")

    trace_content: bool = Field(
        False,
        description="Attach the messages of model calls to their spans, redacted as the guard's policy says; see"
        " [traces](traces.md#content).",
    )
    trace_content_max_bytes: int = Field(
        16 * 1024, ge=256, le=1024 * 1024, description="Largest attribute of a span that holds messages."
    )

    trace_url: str | None = Field(
        None,
        description="Address of a trace in your tracing backend, with `{trace_id}` where its id belongs, for example"
        " `https://jaeger.example.com/trace/{trace_id}`. The console then links each job's trace; it shows only the id"
        " when this is not set.",
    )

    url: str | None = Field(None, description="Where the command line finds the API.")
    api_key: SecretStr | None = Field(None, description="The key, or the identity provider's token, that it uses.")
    project: str | None = Field(None, description="With a token: the id of the project the command line works in.")

    @field_validator("oidc_issuers")
    @classmethod
    def _each_issuer_once(cls, value: list[OidcIssuer]) -> list[OidcIssuer]:
        if len({each.issuer for each in value}) != len(value):
            raise ValueError("each issuer is described once")
        return value

    @field_validator("trace_url")
    @classmethod
    def _names_a_trace(cls, value: str | None) -> str | None:
        if value is not None and not (value.startswith(("https://", "http://")) and "{trace_id}" in value):
            raise ValueError("an http:// or https:// URL that contains {trace_id}")
        return value

    @field_validator("webhook_allowed_networks", "api_trusted_proxies")
    @classmethod
    def _networks_can_be_read(cls, value: list[str]) -> list[str]:
        for each in value:
            ip_network(each, strict=False)
        return value

    @field_validator("database_url", "redis_url", "guard_url", "trace_url", mode="before")
    @classmethod
    def _empty_is_unset(cls, value: object) -> object:
        return value or None

    @classmethod
    def settings_customise_sources(  # noqa: D102
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        folder = os.environ.get("WAYBILL_SECRETS_DIR")
        files = [SecretsSettingsSource(settings_cls, folder)] if folder and Path(folder).is_dir() else []
        return init_settings, env_settings, *files, RunFileSource(settings_cls)

    def key(self, *parts: str) -> str:
        """A Redis key below the one prefix. The braces keep all keys in one cluster slot (redis.io, cluster-spec)."""
        return ":".join((f"{{{self.key_prefix}}}", *parts))

    @property
    def blob_folder(self) -> Path:
        """Where the local blob store keeps its files when no ``blob_url`` is set."""
        return self.home / "blobs"


@lru_cache(maxsize=1)
def get_settings() -> Settings:
    """The settings of this process. Tests clear the cache with ``get_settings.cache_clear()``."""
    return Settings()
