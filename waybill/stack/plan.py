"""The parts of a stack as data: each child with its command, environment and readiness check."""

import json
import os
import socket
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

from pydantic import AliasChoices, SecretStr

from core.kit.processes import Process
from core.kit.settings import Settings
from waybill.stack.errors import StackError
from waybill.stack.postgres import free_port
from waybill.stack.sample_system import attached_port, token_of
from waybill.stack.scraping import LOOPBACK, SHARED_FOLDER, metrics_environment, metrics_ports

_PROBE_TIMEOUT_SECONDS = 2.0
_PYTHON = (sys.executable, "-P", "-m")
# What most of the children import. None of it starts a thread or reads a setting while it is imported, as `workers.app`
# does; half of a worker's start is the models that LangGraph and MCP define with pydantic.
SHARED_MODULES = (
    "api.server",
    "celery.apps.worker",
    "celery.concurrency.thread",
    "celery.fixups.django",
    "celery.worker.consumer",
    "kombu.transport.redis",
    "langchain_mcp_adapters.sessions",
    "langgraph.checkpoint.serde.jsonplus",
    "langgraph.graph",
    "langgraph.runtime",
    "langsmith.run_helpers",
    "mcp.types",
    "pipelines.capabilities",
    "waybill.cli.main",
    "workers.batches",
    "workers.context",
    "workers.deliverer",
    "workers.heartbeat",
    "workers.maintenance",
    "workers.services",
    "workers.shadows",
    "workers.supervisor",
)
_OK = 200


class Readiness(Protocol):
    """Checks whether a running child is ready to serve."""

    def is_met(self, log: str) -> bool:
        """Whether it is, by its log since it started or by a request to it."""


@dataclass(frozen=True, slots=True)
class Logged:
    """Ready once `text` was logged `times` times."""

    text: str
    times: int = 1

    def is_met(self, log: str) -> bool:
        """Whether the log contains the lines."""
        return log.count(self.text) >= self.times


@dataclass(frozen=True, slots=True)
class Answers:
    """Ready once GET `path` on `host`:`port` answers 200."""

    host: str
    port: int
    path: str

    def is_met(self, log: str) -> bool:  # noqa: ARG002 - the answer counts, not the log
        """Whether it answers 200 now."""
        connection = HTTPConnection(self.host, self.port, timeout=_PROBE_TIMEOUT_SECONDS)
        try:
            connection.request("GET", self.path)
            return connection.getresponse().status == _OK
        except (OSError, HTTPException):
            return False
        finally:
            connection.close()


@dataclass(frozen=True, slots=True)
class Listens:
    """Ready once something accepts connections on `host`:`port`."""

    host: str
    port: int

    def is_met(self, log: str) -> bool:  # noqa: ARG002 - the connection counts, not the log
        """Whether it accepts one now."""
        try:
            socket.create_connection((self.host, self.port), _PROBE_TIMEOUT_SECONDS).close()
        except OSError:
            return False
        return True


@dataclass(frozen=True, slots=True)
class Child:
    """A process of the stack. Children of one `tier` are stopped together, the highest tier first.

    The stack does not wait for a child that is not `essential`, and survives its failure. A child gets the secrets of
    its kind of `process`, and its own `secrets` by name.
    """

    name: str
    argv: tuple[str, ...]
    ready: Readiness
    tier: int = 0
    grace_seconds: float = 10.0
    essential: bool = True
    environment: dict[str, str] = field(default_factory=dict)
    process: Process | None = None
    secrets: dict[str, str] = field(default_factory=dict)
    # Address of its metrics, as host:port.
    metrics: str | None = None

    @property
    def module(self) -> tuple[str, ...] | None:
        """The module of this Python that it runs, with its arguments, if a fork can become it."""
        is_python = self.argv[: len(_PYTHON)] == _PYTHON
        # prometheus_client looks for the folder once, when it is imported.
        return self.argv[len(_PYTHON) :] if is_python and SHARED_FOLDER not in self.environment else None


Plan = Callable[[Settings, bool], Sequence[Child]]


def plan_children(settings: Settings, flower: bool) -> Sequence[Child]:
    """Waybill's processes: API, dispatcher, deliverer, a worker per pool, and optionally guard and Flower."""
    from pipelines.registry import pools

    names = pools()
    ports = metrics_ports(settings)
    dispatcher = next(ports)
    workers = [next(ports) for _ in names]
    deliverer, guard = next(ports), next(ports)
    host = reachable_host(settings.api_host)
    children = [
        Child(
            "api",
            _waybill("api"),
            Answers(host, settings.api_port, "/readyz"),
            tier=0,
            grace_seconds=20.0,
            process=Process.API,
            metrics=f"[{host}]:{settings.api_port}" if ":" in host else f"{host}:{settings.api_port}",
        ),
        # It says once per pool that it owns it.
        Child(
            "dispatcher",
            _waybill("dispatcher"),
            Logged("pool_owned", times=len(names)),
            tier=1,
            environment=metrics_environment(dispatcher),
            process=Process.DISPATCHER,
            metrics=f"{LOOPBACK}:{dispatcher}",
        ),
    ]
    children.append(
        Child(
            "deliverer",
            _waybill("deliverer"),
            Logged("deliverer_started"),
            tier=1,
            grace_seconds=settings.webhook_timeout_seconds + 5.0,
            environment=metrics_environment(deliverer),
            process=Process.DELIVERER,
            metrics=f"{LOOPBACK}:{deliverer}",
        )
    )
    if settings.guard_url == own_guard_url(settings):
        children.append(
            Child(
                "guard",
                _waybill("guard", "serve"),
                Logged("analyzer_child_ready"),
                tier=1,
                grace_seconds=settings.guard_timeout_seconds + 5.0,
                environment=metrics_environment(guard),
                process=Process.GUARD,
                metrics=f"{LOOPBACK}:{guard}",
            )
        )
    children += [
        Child(
            f"worker-{pool}",
            _waybill("worker", "--capability", pool),
            Logged("worker_ready"),
            tier=2,
            grace_seconds=settings.drain_seconds + 10.0,
            # One port cannot be shared: the dispatcher has the configured one, each worker one of those after it.
            environment=metrics_environment(port, shared=_shared_folder(settings, pool)),
            process=Process.WORKER,
            metrics=f"{LOOPBACK}:{port}",
        )
        for pool, port in zip(names, workers, strict=True)
    ]
    sample_port = attached_port(settings)
    if sample_port is not None:
        token = token_of(settings)
        for child in children:
            if child.process is Process.WORKER:
                child.secrets.update(token)
        children.append(
            Child(
                "sample-system",
                _waybill("sample-system", "--port", str(sample_port)),
                Listens("127.0.0.1", sample_port),
                tier=3,
                # It creates its own database, which only the owner may do.
                secrets={**token, variable_of("database_url"): spell(settings.database_url)},
            )
        )
    if flower:
        children.append(
            Child(
                "flower",
                _waybill("flower"),
                Answers("127.0.0.1", settings.flower_port, "/healthcheck"),
                tier=3,
                grace_seconds=5.0,
                essential=False,
                process=Process.FLOWER,
            )
        )
    return children


def _shared_folder(settings: Settings, pool: str) -> Path | None:
    """The folder in which a worker and its children share their metrics, if it has children."""
    from workers.pools import get_pool

    return settings.home.absolute() / "metrics" / pool if get_pool(pool).kind == "prefork" else None


def own_guard_url(settings: Settings) -> str:
    """The address of this stack's guard, if it has one."""
    return f"unix://{settings.home.absolute() / 'stack-guard.sock'}"


def is_guard_installed() -> bool:
    """Whether its packages are installed; they come with ``waybill[guard]``."""
    return find_spec("presidio_analyzer") is not None


def is_flower_installed() -> bool:
    """Whether the package is installed; it comes with ``waybill[stack]``."""
    return find_spec("flower") is not None


def reachable_host(host: str) -> str:
    """The address at which this machine reaches a server that listens on `host`."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(host, host)  # noqa: S104 - compared, not bound


def url_of(settings: Settings) -> str:
    """The URL of the API for the command line."""
    host = reachable_host(settings.api_host)
    return f"http://{f'[{host}]' if ':' in host else host}:{settings.api_port}"


def choose_port(host: str, wanted: int, *, is_explicit: bool, purpose: str) -> int:
    """`wanted` if it is free, else another port, or `StackError` if `wanted` was set explicitly."""
    if wanted == 0:
        return free_port()
    if is_free(host, wanted):
        return wanted
    if is_explicit:
        raise StackError(f"port {wanted} for {purpose} is in use on {host or 'this machine'}; free it or set another")
    return free_port()


def is_free(host: str, port: int) -> bool:
    """Whether a server could listen on `host`:`port` now. Raises `StackError` if `host` is not this machine's."""
    try:
        family, kind, _, _, address = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM)[0]
    except socket.gaierror as error:
        raise StackError(f"cannot listen on {host}: {error.strerror}") from error
    with socket.socket(family, kind) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(address)
        except OSError:
            return False
    return True


def is_in_environment(name: str) -> bool:
    """Whether the setting of that name is given by an environment variable of this process."""
    return bool(variables_of(name) & {variable.upper() for variable in os.environ})


def variables_of(name: str) -> frozenset[str]:
    """Every spelling of the variable of a setting, in capitals."""
    alias = Settings.model_fields[name].validation_alias
    spelled = {str(choice).upper() for choice in alias.choices} if isinstance(alias, AliasChoices) else set()
    return frozenset({f"WAYBILL_{name.upper()}", *spelled})


def variable_of(name: str) -> str:
    """The variable of a setting, as the reference of settings spells it."""
    alias = Settings.model_fields[name].validation_alias
    if isinstance(alias, AliasChoices):
        return str(alias.choices[0])
    return f"WAYBILL_{name.upper()}"


def spell(value: Any) -> str:
    """A setting's value as its variable holds it."""
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    if isinstance(value, list | dict):
        return json.dumps(value, default=spell)
    return str(value)


def _waybill(*arguments: str) -> tuple[str, ...]:
    return (*_PYTHON, "waybill", *arguments)
