"""The engine of ``waybill up``: starts every part of the product on this machine, keeps it running, and stops it.

Parts start in the order Postgres, Valkey, migrations, children, and stop in reverse. Nothing outlives this process: the
kernel signals each child when it ends (`waybill.stack.child`), and children that ignore the signal are killed with
their group by a process that waits for it to end (`waybill.stack.reaper`).
"""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from time import monotonic, sleep
from types import TracebackType
from typing import Any, Literal, Protocol, Self

from pydantic import SecretStr

from core.kit.settings import Settings
from core.kit.signing import generate_seed
from waybill.stack import fork_server, plan, sample_system
from waybill.stack.child_secrets import ChildSecrets, environment_without_secrets, give_passwords
from waybill.stack.errors import StackError
from waybill.stack.fork_server import ForkServer
from waybill.stack.home import PSEUDONYM_KEY_FILE, SECRET_KEY_FILE, SIGNING_KEY_FILE, Home
from waybill.stack.interruption import Interruptions
from waybill.stack.leftovers import without_leftovers
from waybill.stack.plan import Plan, plan_children
from waybill.stack.postgres import EmbeddedPostgres
from waybill.stack.process import ChildProcess, Crashes, Patience
from waybill.stack.scraping import TARGETS_FILE, metrics_addresses, prepare_shared, render_targets
from waybill.stack.valkey import EmbeddedValkey

_TICK_SECONDS = 0.05
_WATCH_SECONDS = 0.2
_LAST_LINES = 12
_PREPARED_BY_US = (
    "database_url",
    "redis_url",
    "secret_key",
    "pseudonym_key",
    "signing_key",
    "flower_password",
    "api_port",
    "flower_port",
    "guard_url",
)


@dataclass(frozen=True, slots=True)
class Notice:
    """A line of output: what happened to which part, and how long it took where that matters."""

    kind: Literal["starting", "ready", "changed", "crashed", "abandoned", "stopping", "stopped"]
    name: str
    text: str = ""
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Running:
    """The addresses and folders of a stack that is ready."""

    settings: Settings
    url: str
    api_key: str
    flower_url: str | None
    flower_password: str
    home: Path
    logs: Path
    # The host:port of each process's metrics by its name, and the targets file for Prometheus.
    metrics: dict[str, str]
    targets: Path


class _Server(Protocol):
    @property
    def url(self) -> str: ...
    @property
    def pid(self) -> int | None: ...
    def start(self) -> None: ...
    def stop(self) -> None: ...


@dataclass(slots=True)
class _Part:
    """An embedded server with its crashes; `url` is the one that the children got."""

    name: str
    server: _Server
    when_orphaned: signal.Signals
    crashes: Crashes
    url: str = ""
    pid: int | None = None


class Stack:
    """The embedded stack of one folder. Use it in the main thread: ``with Stack(settings) as stack: stack.wait()``.

    `report` is called with a `Notice` for each event. `api_port` overrides the settings. A port that is set explicitly
    must be free; a default port that is in use is replaced by a free one. With `guard`, an analyzer is started unless
    the settings name one. `children` is the plan of what runs besides the servers, and `modules` what its Python
    processes share. From `start` to `stop`, the stack handles SIGINT, SIGTERM and SIGHUP: they make `wait` return, and
    raise KeyboardInterrupt in the caller's code. A second signal during `stop` kills instead of asking.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        flower: bool = True,
        guard: bool = False,
        api_port: int | None = None,
        report: Callable[[Notice], None] | None = None,
        children: Plan = plan_children,
        patience: Patience | None = None,
        modules: Sequence[str] = plan.SHARED_MODULES,
    ) -> None:
        self._given = settings if api_port is None else settings.model_copy(update={"api_port": api_port})
        self._flower = flower
        self._guard = guard
        self._report = report
        self._plan = children
        self._patience = patience or Patience()
        self._modules = modules
        self._home = Home(settings.home)
        self._interruptions = Interruptions()
        self._parts: list[_Part] = []
        self._children: list[ChildProcess] = []
        self._secrets: ChildSecrets | None = None
        self._forks: ForkServer | None = None
        self._reaper: subprocess.Popen[str] | None = None
        self._is_started = False
        self.running: Running | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> Running:
        """Start everything and wait until it is ready.

        Raises `StackError` with what to do, or KeyboardInterrupt on a signal; either way, everything that was started
        is stopped.
        """
        if threading.current_thread() is not threading.main_thread():
            raise StackError("start a stack in the main thread, which outlives its children and receives signals")
        self._home.acquire(self._patience.predecessor_seconds)
        self._is_started = True
        self._interruptions.install()
        try:
            self.running = self._start()
        except BaseException:
            self.stop()
            raise
        self._interruptions.is_counting = False
        return self.running

    def wait(self) -> None:
        """Keep everything running until a signal asks to stop. Raises `StackError` when a part keeps crashing."""
        with self._counting():
            before = self._interruptions.count
            while self._interruptions.count == before:
                self._tend()
                sleep(_WATCH_SECONDS)

    def tend(self) -> None:
        """Check and restart every part once, without waiting: for callers with their own loop instead of `wait`.

        Raises `StackError` when a part keeps crashing; everything is then stopped.
        """
        with self._counting():
            self._tend()

    def kill_worker(self, pool: str) -> int:
        """Kill a pool's worker and its process group with SIGKILL, as a lost machine would; returns its process id.

        `tend` restarts it. Raises `StackError` if the pool has no running worker.
        """
        for process in self._children:
            pid = process.pid
            if process.child.name == f"worker-{pool}" and pid is not None:
                os.killpg(pid, signal.SIGKILL)
                return pid
        raise StackError(f"no worker of the pool {pool} is running")

    def stop(self) -> None:
        """Stop everything, children before servers. Does nothing if nothing is running."""
        if not self._is_started:
            return
        self._interruptions.is_counting = True
        self._is_started = False
        with ExitStack() as last:
            # Executed in reverse order, each even if one before it failed.
            last.callback(self._interruptions.restore)
            last.callback(self._home.release)
            last.callback(self._dismiss_reaper)
            for part in self._parts:
                last.callback(self._stop_server, part)
            self._home.remove_run_file()
            (self._home.folder / TARGETS_FILE).unlink(missing_ok=True)
            self._stop_children()
            if self._forks is not None:
                self._forks.stop()
            if self._secrets is not None:
                self._secrets.remove()
        self._parts, self._children, self.running = [], [], None

    @contextmanager
    def _counting(self) -> Iterator[None]:
        self._interruptions.is_counting = True
        try:
            yield
        finally:
            self._interruptions.is_counting = not self._is_started

    def _start(self) -> Running:
        settings = without_leftovers(self._given, self._home)
        self._home.remove_run_file()
        self._employ_reaper()
        if fork_server.IS_AVAILABLE:
            # It imports while the servers start.
            self._forks = ForkServer(self._modules, environment_without_secrets(), self._home.logs / "fork-server.log")
            self._forks.start()
        if settings.database_url is None:
            postgres = self._start_server("postgres", EmbeddedPostgres(self._home.folder / "postgres"), signal.SIGINT)
            settings = settings.model_copy(update={"database_url": SecretStr(postgres.url)})
        if settings.redis_url is None:
            valkey = self._start_server("valkey", EmbeddedValkey(self._home.folder / "valkey"), signal.SIGTERM)
            settings = settings.model_copy(update={"redis_url": SecretStr(valkey.url)})
        settings = self._attach_sample_system(self._prepare(settings))
        self._require_usable(settings)
        self._migrate(settings)
        self._seed_prices(settings)
        from waybill.stack.local_key import local_key

        key = local_key(self._home, settings)
        with_flower = self._flower and plan.is_flower_installed()
        if self._flower and not with_flower:
            self._say("changed", "flower", "not installed (pip install 'waybill[stack]'); continuing without it")
        self._start_children(settings, with_flower)
        started = [process.child for process in self._children]
        self._home.write(TARGETS_FILE, render_targets(started))
        self._home.write_run_file(_run_file(settings, key))
        assert settings.flower_password is not None
        return Running(
            settings=settings,
            url=plan.url_of(settings),
            api_key=key,
            flower_url=f"http://127.0.0.1:{settings.flower_port}" if with_flower else None,
            flower_password=settings.flower_password.get_secret_value(),
            home=self._home.folder,
            logs=self._home.logs,
            metrics=metrics_addresses(started),
            targets=self._home.folder / TARGETS_FILE,
        )

    def _start_server(self, name: str, server: _Server, when_orphaned: signal.Signals) -> _Part:
        self._require_no_interruption()
        self._say("starting", name)
        began = monotonic()
        part = _Part(name, server, when_orphaned, Crashes(self._patience))
        self._parts.append(part)
        self._run_server(part)
        part.url = server.url
        self._say("ready", name, seconds=monotonic() - began)
        return part

    def _run_server(self, part: _Part) -> None:
        part.server.start()
        part.pid = part.server.pid
        assert part.pid is not None
        self._notify_reaper(f"+{part.pid} {int(part.when_orphaned)}")
        part.crashes.started()

    def _prepare(self, settings: Settings) -> Settings:
        """Fill in the secrets and ports that the stack chooses."""
        explicit = settings.model_fields_set
        changes: dict[str, Any] = {
            "api_port": plan.choose_port(
                settings.api_host, settings.api_port, is_explicit="api_port" in explicit, purpose="the API"
            ),
            "flower_port": plan.choose_port(
                "127.0.0.1", settings.flower_port, is_explicit="flower_port" in explicit, purpose="Flower"
            ),
        }
        if settings.secret_key is None:
            changes["secret_key"] = SecretStr(self._home.load_or_create_secret(SECRET_KEY_FILE))
        if settings.pseudonym_key is None:
            changes["pseudonym_key"] = SecretStr(self._home.load_or_create_secret(PSEUDONYM_KEY_FILE))
        if settings.signing_key is None:
            changes["signing_key"] = SecretStr(self._home.load_or_create_secret(SIGNING_KEY_FILE, generate_seed))
        if self._guard and settings.guard_url is None:
            if not plan.is_guard_installed():
                raise StackError("the guard's packages are not installed; run: pip install 'waybill[guard]'")
            changes["guard_url"] = plan.own_guard_url(settings)
        if settings.flower_password is None:
            changes["flower_password"] = SecretStr(self._home.load_or_create_secret("flower.password"))
        for name, part in (("api_port", "api"), ("flower_port", "flower")):
            wanted = getattr(settings, name)
            if wanted not in {0, changes[name]}:
                self._say("changed", part, f"port {wanted} is in use, using {changes[name]}")
        return settings.model_copy(update=changes)

    def _attach_sample_system(self, settings: Settings) -> Settings:
        """Attach the sample tools, if this stack runs Postgres and no other tools are attached."""
        if settings.tool_servers_file is not None or all(part.name != "postgres" for part in self._parts):
            return settings
        port = plan.choose_port("127.0.0.1", sample_system.PORT, is_explicit=False, purpose="the sample system")
        return sample_system.attach(settings, self._home, port)

    def _require_usable(self, settings: Settings) -> None:
        """Refuse external servers that Waybill cannot use."""
        from waybill.stack.doctor import SCHEMA, check_postgres, check_redis

        ours = {part.name for part in self._parts}
        checks = [] if "postgres" in ours else check_postgres(settings)
        checks += [] if "valkey" in ours else check_redis(settings)
        # Migrations will fix an old schema.
        failed = [check for check in checks if check.status == "fail" and check.name != SCHEMA]
        if failed:
            raise StackError("\n".join(f"{check.name}: {check.found}; {check.remedy}" for check in failed))

    def _migrate(self, settings: Settings) -> None:
        from alembic.util import CommandError
        from sqlalchemy.exc import DBAPIError

        from core.kit.migrate import upgrade

        assert settings.database_url is not None
        self._require_no_interruption()
        self._say("starting", "migrations")
        began = monotonic()
        try:
            upgrade(settings.database_url.get_secret_value())
        except DBAPIError as error:
            raise StackError(f"cannot migrate the database to the latest schema: {error.orig}".strip()) from error
        except CommandError as error:
            raise StackError(f"the database was migrated by a newer Waybill than this one: {error}") from error
        self._say("ready", "migrations", seconds=monotonic() - began)

    def _seed_prices(self, settings: Settings) -> None:
        from core.ledger.prices.seed import seed_prices_once

        seeded = seed_prices_once(settings, "waybill-up")
        if seeded is not None:
            self._say("ready", "prices", f"{seeded.added:,} from the package genai-prices")

    def _start_children(self, settings: Settings, with_flower: bool) -> None:
        # An external Postgres is used with the given login only.
        is_ours = any(part.name == "postgres" for part in self._parts)
        self._secrets = ChildSecrets(settings, give_passwords(self._home, settings) if is_ours else {})
        children = self._plan(settings, with_flower)
        prepare_shared(children)
        while self._forks is not None and not self._forks.look():
            self._require_no_interruption()
            sleep(_TICK_SECONDS)
        for child in children:
            self._require_no_interruption()
            process = ChildProcess(
                child,
                self._home.logs / f"{child.name}.log",
                self._secrets.environment(child),
                self._patience,
                self._forks,
                born=lambda pid: self._notify_reaper(f"+{pid} {int(signal.SIGTERM)}"),
                gone=lambda pid: self._notify_reaper(f"-{pid}"),
            )
            self._children.append(process)
            self._say("starting", child.name)
            process.start()
        until = monotonic() + self._patience.ready_seconds
        # The others are announced when they are ready; nothing waits for them.
        while late := [child for child in self._children if child.child.essential and not child.is_ready]:
            self._require_no_interruption()
            self._tend()
            if monotonic() > until:
                raise StackError(
                    f"{late[0].child.name} was not ready within {self._patience.ready_seconds:.0f} s; {_words(late[0])}"
                )
            sleep(_TICK_SECONDS)

    def _tend(self) -> None:
        try:
            for part in self._parts:
                self._tend_server(part)
            for child in self._children:
                self._tend_child(child)
        except StackError:
            self.stop()
            raise

    def _tend_server(self, part: _Part) -> None:
        if part.crashes.due_at is None and part.server.pid is None:
            self._notify_reaper(f"-{part.pid}")
            self._count_crash(part.name, part.crashes, "stopped unexpectedly")
        if part.crashes.is_due:
            try:
                self._run_server(part)
            except StackError as error:
                self._count_crash(part.name, part.crashes, str(error))
                return
            if part.server.url != part.url:
                raise StackError(f"{part.name} crashed and its port is now in use; start the stack again")
            self._say("ready", part.name)

    def _count_crash(self, name: str, crashes: Crashes, what: str) -> None:
        if not crashes.crashed():
            raise StackError(f"{name} keeps crashing ({crashes.count} times in a row): {what}")
        self._say("crashed", name, f"{what}; starting it again")

    def _tend_child(self, process: ChildProcess) -> None:
        name = process.child.name
        code = process.ended()
        if code is not None:
            if process.crashes.crashed():
                pause = self._patience.pause_after(process.crashes.count)
                self._say("crashed", name, f"{_ending(code)}; starting it again in {pause:g} s (log: {process.log})")
            elif process.child.essential:
                raise StackError(
                    f"{name} keeps crashing: {process.crashes.count} times in a row it ended within "
                    f"{self._patience.quick_seconds:g} s, last {_ending(code)}; {_words(process)}"
                )
            else:
                process.is_abandoned = True
                self._say("abandoned", name, f"{_ending(code)}, again; continuing without it (log: {process.log})")
        if process.crashes.is_due and not process.is_abandoned:
            process.start()
        if process.look():
            self._say("ready", name, seconds=monotonic() - process.crashes.started_at)

    def _stop_children(self) -> None:
        before = self._interruptions.count
        in_order = sorted(self._children, key=lambda process: -process.child.tier)
        for _, tier in groupby(in_order, key=lambda process: process.child.tier):
            alive = [process for process in tier if process.pid is not None]
            began = monotonic()
            for process in alive:
                self._say("stopping", process.child.name)
                process.terminate()
            while alive:
                is_hurried = self._interruptions.count > before
                for process in list(alive):
                    waited = monotonic() - began
                    if process.ended() is not None:
                        alive.remove(process)
                        self._say("stopped", process.child.name, seconds=waited)
                    elif is_hurried or waited > process.child.grace_seconds:
                        process.kill()
                        alive.remove(process)
                        self._say("stopped", process.child.name, "killed", seconds=waited)
                if alive:
                    sleep(_TICK_SECONDS)

    def _stop_server(self, part: _Part) -> None:
        pid = part.server.pid
        if pid is None:
            return
        self._say("stopping", part.name)
        began = monotonic()
        part.server.stop()
        self._notify_reaper(f"-{pid}")
        self._say("stopped", part.name, seconds=monotonic() - began)

    def _employ_reaper(self) -> None:
        self._reaper = subprocess.Popen(
            [sys.executable, "-P", "-m", "waybill.stack.reaper"],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
            pass_fds=(self._home.lock_descriptor,),
        )

    def _notify_reaper(self, line: str) -> None:
        assert self._reaper is not None
        assert self._reaper.stdin is not None
        try:
            self._reaper.stdin.write(line + "\n")
            self._reaper.stdin.flush()
        except BrokenPipeError:
            # It was killed. The kernel still signals orphans, so a healthy stack can continue.
            return

    def _dismiss_reaper(self) -> None:
        if self._reaper is not None:
            self._reaper.communicate()
            self._reaper = None

    def _require_no_interruption(self) -> None:
        if self._interruptions.count:
            raise KeyboardInterrupt

    def _say(
        self,
        kind: Literal["starting", "ready", "changed", "crashed", "abandoned", "stopping", "stopped"],
        name: str,
        text: str = "",
        seconds: float | None = None,
    ) -> None:
        if self._report is None:
            return
        try:
            self._report(Notice(kind, name, text, seconds))
        except OSError:
            # The terminal is gone, but the processes must still be stopped in order.
            self._report = None


def _run_file(settings: Settings, key: str) -> dict[str, Any]:
    """What other terminals need; keys are names of settings."""
    found = {"url": plan.url_of(settings), "api_key": key, "key_prefix": settings.key_prefix}
    for name in _PREPARED_BY_US:
        value = getattr(settings, name)
        found[name] = value.get_secret_value() if isinstance(value, SecretStr) else value
    return found


def _ending(code: int) -> str:
    return f"killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"


def _words(process: ChildProcess) -> str:
    lines = "\n".join(f"  {line}" for line in process.last_lines(_LAST_LINES)) or "  (no output)"
    return f"last lines of {process.log}:\n{lines}"
