"""The API over real HTTP: a server on a free port, keys, and a client that holds one."""

import asyncio
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import httpx
import uvloop

from api.deps import Runtime
from api.server import Server
from core.keys.principal import Principal
from core.keys.scopes import SCOPES, split
from core.keys.service import IssuedKey, KeyService
from core.kit.data_classes import DataClass
from core.kit.db import Database
from core.kit.ids import KEY, encode
from core.kit.settings import Settings, get_settings
from core.kit.trust import authorities
from pipelines.registry import manifests
from tests.factories.waiting import wait_until

EXTRA = '["tests.factories.capabilities:ALL"]'


@contextmanager
def probe_capabilities() -> Iterator[None]:
    """Offer the capabilities for tests in this process."""
    before = os.environ.get("WAYBILL_EXTRA_CAPABILITIES")
    os.environ["WAYBILL_EXTRA_CAPABILITIES"] = EXTRA
    get_settings.cache_clear()
    manifests.cache_clear()
    try:
        yield
    finally:
        if before is None:
            del os.environ["WAYBILL_EXTRA_CAPABILITIES"]
        else:
            os.environ["WAYBILL_EXTRA_CAPABILITIES"] = before
        get_settings.cache_clear()
        manifests.cache_clear()


def issue_key(
    settings: Settings,
    *,
    organization: str | None = None,
    project: str = "default",
    scopes: tuple[str, ...] = SCOPES,
    expires_in: timedelta | None = None,
    clearance: DataClass = DataClass.RESTRICTED,
) -> IssuedKey:
    """A new key, as ``waybill keys create`` would issue it, for the organization of these `settings` unless named."""
    organization = organization or f"acme-{settings.key_prefix}"
    database = Database(settings, application_name="test-keys", pool_size=1)
    try:
        with database.system() as session:
            return KeyService(settings).create_key(
                session,
                organization=organization,
                project=project,
                name="test",
                scopes=scopes,
                expires_in=expires_in,
                clearance=clearance,
            )
    finally:
        database.close()


def revoke_key(settings: Settings, key: IssuedKey) -> None:
    """Revoke a key."""
    database = Database(settings, application_name="test-keys", pool_size=1)
    try:
        with database.system() as session:
            KeyService(settings).revoke_key(session, key.organization_id, key.id)
    finally:
        database.close()


def principal_of(key: IssuedKey) -> Principal:
    """Who a key speaks for."""
    scopes, capabilities = split(key.scopes)
    return Principal(
        key.organization_id,
        key.project_id,
        key.id,
        scopes,
        actor_kind="key",
        actor_id=encode(KEY, key.id),
        capabilities=capabilities,
        clearance=key.record.clearance,
    )


@dataclass
class RunningApi:
    """A serving API in a thread of this process."""

    settings: Settings
    server: Server
    thread: threading.Thread
    url: str
    key: IssuedKey

    @property
    def runtime(self) -> Runtime:
        """What the application holds."""
        runtime: Runtime = self.server.config.app.state.runtime  # type: ignore[union-attr]
        return runtime

    def client(self, key: IssuedKey | str | None = None, *, timeout_seconds: float = 20) -> httpx.Client:
        """A client that sends `key`, or the API's first key; the empty string sends none."""
        plaintext = key if isinstance(key, str) else (key or self.key).plaintext
        headers = {"Authorization": f"Bearer {plaintext}"} if plaintext else {}
        return httpx.Client(
            base_url=self.url,
            headers=headers,
            timeout=timeout_seconds,
            verify=authorities(by_environment=False),
            trust_env=False,
        )

    def stop(self) -> None:
        """Stop as SIGTERM would."""
        self.server.should_exit = True
        self.thread.join(30)
        assert not self.thread.is_alive()


def start_api(settings: Settings, *, port: int = 0, key: IssuedKey | None = None) -> RunningApi:
    """Start an API; returns when it accepts connections."""
    issued = key or issue_key(settings)
    server = Server(settings, port=port)

    def serve() -> None:
        # uvicorn installs signal handlers only in a main thread, which this is not.
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(server.serve())

    thread = threading.Thread(target=serve, name="api", daemon=True)
    thread.start()
    wait_until(lambda: server.started or not thread.is_alive(), timeout_seconds=20, what="the API to start")
    assert server.started, "the API did not start; see its log"
    bound = server.servers[0].sockets[0].getsockname()[1]
    return RunningApi(settings, server, thread, f"http://127.0.0.1:{bound}", issued)


@contextmanager
def running_api(settings: Settings) -> Iterator[RunningApi]:
    """An API that serves during the block."""
    api = start_api(settings)
    try:
        yield api
    finally:
        api.stop()
