"""``waybill logs``: a job's log lines from every process of the local stack."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from waybill.cli.exits import EPILOG, Exit
from waybill.cli.failures import CliError
from waybill.cli.options import Json
from waybill.cli.output import Output

if TYPE_CHECKING:
    from rich.text import Text

# What stands at the beginning of a line or below it, and what is the same in all of them.
_PLACED = frozenset({"event", "exception", "level", "logger", "schema", "service", "stack", "timestamp", "trace_id"})
_REPEATED = frozenset({"project_id", "span_id"})
_STYLES = {"debug": "dim", "info": "green", "warning": "yellow", "error": "red", "critical": "bold red"}
_TIME = slice(11, 23)


def register(app: typer.Typer, *, rich_help_panel: str) -> None:
    """Add the command to the root command."""
    app.command(epilog=EPILOG, rich_help_panel=rich_help_panel)(logs)


def logs(
    job: Annotated[str, typer.Option("--job", metavar="JOB", show_default=False, help="The job's id, such as job_01…")],
    level: Annotated[
        Literal["debug", "info", "warning", "error"], typer.Option("--level", help="Minimum severity to show.")
    ] = "debug",
    as_json: Json = False,
) -> None:
    """Show what every process of the local stack has logged about a job, oldest first.

    Includes lines that name the job and those of its trace: the request that submitted it, the worker's steps and its
    webhooks. Reads the files in WAYBILL_HOME/logs, so the stack need not be running. With --json, prints the lines as
    they were written.
    """
    from core.kit.ids import JOB, decode
    from core.kit.settings import get_settings
    from waybill.stack.home import Home
    from waybill.stack.logs import lines_of_job

    output = Output(as_json=as_json)
    try:
        decode(JOB, job)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--job") from None
    folder = Home(get_settings().home).logs
    if not folder.is_dir():
        raise CliError(
            f"no logs in {folder}",
            remedy="start a stack with `waybill up`, or set WAYBILL_HOME to the folder of an earlier one",
            code="no_logs",
        )
    found = lines_of_job(folder, job, level=level)
    for line in found:
        if as_json:
            output.record(line)
        else:
            output.show(_drawn(line, job))
    if not found:
        raise CliError(f"no log lines about {job} in {folder}", code="not_found", exit_code=Exit.FAILED)


def _drawn(line: Mapping[str, Any], job: str) -> "Text":
    from rich.text import Text

    level = str(line.get("level", ""))
    text = Text.assemble(
        (str(line.get("timestamp", ""))[_TIME], "dim"),
        " ",
        (f"{level:<8}", _STYLES.get(level, "")),
        (f"{line.get('service', ''):<28}", "cyan"),
        (str(line["event"]), "bold"),
    )
    for name, value in line.items():
        if name not in _PLACED and name not in _REPEATED and value != job:
            text.append(f" {name}=", "dim")
            text.append(str(value))
    if line.get("exception"):
        text.append("\n" + str(line["exception"]).rstrip())
    return text
