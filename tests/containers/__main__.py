"""``python -m tests.containers``: compose.yaml under podman, on a real network, from the Dockerfiles as they are.

Builds the images, brings everything up, sends `waybill smoke` through the proxy, looks at what each container may see
and do, restores a backup into a second project, provokes failures while jobs run, and takes everything down, also when
it is interrupted. Needs root and podman.
``BUILD_OPTIONS`` are options of `podman build` for what this machine needs to reach the package registries.
``--no-build`` takes the images that are there, ``--keep`` leaves everything running, words select strikes by name.
"""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from time import monotonic

from rich.console import Console

from tests.containers import backups, files, images, isolation, observation
from tests.containers.engine import EngineFailed, Project, free_addresses, podman, wait_until_ready
from tests.containers.strikes import STRIKES, Work, provoke
from tests.factories.processes import ROOT
from waybill.client import ClientError, WaitTimedOut, WaybillClient
from waybill.stack.postgres import free_port

_PROJECT = "waybill-test"
_SMOKE_SECONDS = 900.0
# Gigabytes of layers, on a machine that may do more than this.
_PRUNE_SECONDS = 900.0
# A client that waits out the restart of what answers it.
_ATTEMPTS = 10
# Where podman puts the networks that it makes (containers.conf, default_subnet_pools).
_NETWORKS = '["10.89.0.0/16"]'


class Run:
    """Steps, each with a line that says what came of it."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.failures = 0

    def step(self, name: str, look: Callable[[], str]) -> bool:
        """Print what `look` found, or that it failed; returns whether it passed."""
        began = monotonic()
        try:
            found, mark = look(), "[green]✓[/]"
        except (AssertionError, EngineFailed, ClientError, WaitTimedOut, subprocess.SubprocessError) as error:
            found, mark = str(error), "[red]✗[/]"
            self.failures += 1
        self.console.print(f"{mark} [bold]{name}[/]: {found}  [dim]{monotonic() - began:.1f} s[/]", highlight=False)
        return mark == "[green]✓[/]"


def main(arguments: Sequence[str]) -> int:
    """Run everything; returns 1 when a step failed."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    words = [word for word in arguments if not word.startswith("-")]
    run = Run(Console(width=160 if not sys.stdout.isatty() else None))
    if "--no-build" not in arguments and not run.step("images", lambda: _build(run.console)):
        return 1
    with _running("--keep" in arguments) as (project, url):
        _look(run, project, url, words)
    return 1 if run.failures else 0


def _look(run: Run, project: Project, url: str, words: Sequence[str]) -> None:
    if not run.step("compose up", lambda: _up(project, url)):
        for service in ("migrate", "postgres", "api-1", "proxy"):
            run.console.print(f"[dim]{service}[/]\n{project.logs(service)}", highlight=False, markup=False)
        return
    key = project.execute("api-1", "waybill", *_NEW_KEY).strip()
    run.step("waybill smoke", lambda: _smoke(project, url, key, run.console))
    for name, check in (
        ("no secret in an environment", isolation.leaked_secrets),
        ("no secret without need", isolation.excessive_secrets),
        ("no privilege", isolation.excessive_privileges),
        ("no way around the proxy", isolation.open_ways),
    ):
        run.step(name, lambda check=check: _none(check(project)))  # type: ignore[misc]
    run.step("files of the operator", lambda: files.check_policies(project))
    run.step("backup and restore", lambda: backups.back_up_and_restore(project, url, key))
    run.step("rules", lambda: observation.check_files(project))
    prometheus = f"http://{project.variables['WAYBILL_PUBLISH_PROMETHEUS']}"
    run.step("metrics", lambda: observation.check_targets(prometheus))
    with WaybillClient(url, key, attempts=_ATTEMPTS) as client:
        work = Work(client)
        for strike in STRIKES:
            if all(word in strike.name for word in words):
                run.step(strike.name, lambda strike=strike: provoke(strike, project, work))  # type: ignore[misc]


_NEW_KEY = ("keys", "create", "--organization", "test", "--role", "owner", "--name", "test")


def _build(console: Console) -> str:
    options = os.environ.get("BUILD_OPTIONS", "")
    images.prepare(console, options)
    build = f"podman build --quiet --format docker --pull=never {options}"
    subprocess.run(["make", "--no-print-directory", "images", f"BUILD={build}"], cwd=ROOT, check=True)
    podman("image", "prune", "--force", timeout_seconds=_PRUNE_SECONDS)
    sizes = images.sizes()
    found = ", ".join(f"{name} {size / 1e6:.0f} MB" for name, size in sizes.items())
    assert not (grown := images.grown(sizes)), f"{found}; {'; '.join(grown)}"
    return found


@contextmanager
def _running(is_kept: bool) -> Iterator[tuple[Project, str]]:
    """A project with secrets of its own on free ports; it and its volumes are gone afterwards, unless `is_kept`."""
    folder = Path(tempfile.mkdtemp(prefix="waybill-compose-"))
    variables = {
        **free_addresses(),
        "WAYBILL_WEBHOOK_ALLOWED_NETWORKS": _NETWORKS,
        "WAYBILL_BACKUPS": str(backups.make_folder(folder / "backups")),
        "WAYBILL_FILES": str(files.make_folder(folder / "files")),
    }
    project = Project(_PROJECT, folder / "secrets", variables)
    subprocess.run([ROOT / "infra" / "compose" / "make-secrets.sh", project.secrets], check=True, capture_output=True)
    try:
        yield project, f"http://{variables['WAYBILL_PUBLISH_HTTP']}"
    finally:
        if not is_kept:
            # A second interruption must not leave half of it behind.
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                signal.signal(number, signal.SIG_IGN)
            project.down()
            shutil.rmtree(folder)


def _up(project: Project, url: str) -> str:
    project.compose("up", "--detach", "--no-build", *images.services())
    seconds = wait_until_ready(url)
    return f"{len(project.containers())} containers; ready through the proxy {seconds:.1f} s after they were started"


def _smoke(project: Project, url: str, key: str, console: Console) -> str:
    gateway = podman(
        "network", "inspect", f"{project.name}_egress", "--format", "{{(index .Subnets 0).Gateway}}"
    ).strip()
    command = [sys.executable, "-m", "waybill", "smoke", url, "--receive", f"http://{gateway}:{free_port()}/"]
    done = subprocess.run(
        command,
        check=False,
        cwd=ROOT,
        env={**os.environ, "WAYBILL_API_KEY": key},
        capture_output=True,
        text=True,
        timeout=_SMOKE_SECONDS,
    )
    console.print(done.stdout.rstrip(), highlight=False, markup=False)
    assert done.returncode == 0, f"exit code {done.returncode} {done.stderr.strip()[-500:]}"
    return f"{done.stdout.count('✓')} checks passed"


def _none(found: list[str]) -> str:
    assert not found, "; ".join(found)
    return "none found"


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit("interrupted; everything was taken down")
