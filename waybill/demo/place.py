"""The environment of the demo: the sample documents, the stack, and its own key."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from core.knowledge import samples
from waybill.cli.failures import CliError
from waybill.cli.notices import teller
from waybill.cli.output import Output

if TYPE_CHECKING:
    from core.kit.settings import Settings

# A separate organization, so that its prices affect no one else.
_ORGANIZATION, _PROJECT, _KEY_NAME, _APPROVER_NAME = "demo", "demo", "waybill demo", "waybill demo, approver"
_KEY_LIFE = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Place:
    """A stack to use. `tend` supervises its parts when the demo started it; `is_ours`: the stack ends with the demo."""

    settings: "Settings"
    url: str
    flower_url: str | None
    flower_password: str
    is_ours: bool
    tend: Callable[[], None]
    # Ends the worker of a pool by SIGKILL and returns its process id; None on a stack that the demo did not start.
    kill_worker: "Callable[[str], int] | None"


def find_corpus() -> Path:
    """The folder of the sample documents: beside the package in a checkout. Raises `CliError` elsewhere."""
    for folder in (samples.FOLDER, Path.cwd() / "samples" / "corpus"):
        if folder.is_dir():
            return folder
    raise CliError(
        f"the sample documents are not there: {samples.FOLDER} does not exist",
        remedy="run the demo from a checkout of the repository; the installed package does not carry them",
        code="corpus_missing",
    )


@contextmanager
def open_place(output: Output, *, api_port: int | None, flower: bool) -> Iterator[Place]:
    """The stack that runs in WAYBILL_HOME, left running; else a new one, ended with the block.

    Raises `StackError` when none runs and none can be started.
    """
    from waybill.cli.local import local_settings
    from waybill.stack.home import running_stack
    from waybill.stack.supervisor import Stack

    settings = local_settings()
    running = running_stack(settings.home)
    if running is not None:
        output.note(f"using the stack that runs in {settings.home} (process {running['pid']})")
        yield _of_running(settings, str(running["settings"]["url"]))
        return
    output.note(f"starting everything; it is kept in {settings.home}")
    # Under --json the output is only the one document at the end.
    report = None if output.as_json else teller(output)
    with Stack(settings, flower=flower, api_port=api_port, report=report) as stack:
        found = stack.running
        assert found is not None
        yield Place(
            found.settings, found.url, found.flower_url, found.flower_password, True, stack.tend, stack.kill_worker
        )
        output.note("ending what the demo started")


def make_key(settings: "Settings", *, approves: bool = False) -> str:
    """A key for the project ``demo`` of this stack that expires within the hour.

    The one that `approves` is another person's: the submitter of a job may not approve the money that it moves.
    """
    from core.keys.scopes import WORKING_SCOPES
    from core.keys.service import KeyService
    from core.kit.db import Database

    database = Database(settings, application_name="waybill-demo", pool_size=1)
    try:
        with database.system() as session:
            issued = KeyService(settings).create_key(
                session,
                organization=_ORGANIZATION,
                project=_PROJECT,
                name=_APPROVER_NAME if approves else _KEY_NAME,
                # The demo prices the models that run here, and knows its own customers.
                scopes=("jobs:answer",)
                if approves
                else (*WORKING_SCOPES, "customers:verify", "prices:read", "prices:write"),
                expires_in=_KEY_LIFE,
            )
    finally:
        database.close()
    return issued.plaintext


def _of_running(settings: "Settings", url: str) -> Place:
    from waybill.stack.plan import is_free

    has_flower = settings.flower_port and not is_free("127.0.0.1", settings.flower_port)
    flower_url = f"http://127.0.0.1:{settings.flower_port}" if has_flower else None
    password = settings.flower_password.get_secret_value() if settings.flower_password else ""
    return Place(settings, url, flower_url, password, False, _leave_alone, None)


def _leave_alone() -> None:
    """The stack was started by another process, which supervises it."""
