"""Exit codes that scripts can rely on. ``docs/reference/cli.md`` repeats this table; a test keeps them in sync."""

from enum import IntEnum


class Exit(IntEnum):
    """Why a command ended."""

    OK = 0
    FAILED = 1
    USAGE = 2
    UNREACHABLE = 3
    DENIED = 4
    REFUSED = 5
    SETUP = 6
    INTERNAL = 70
    INTERRUPTED = 130


MEANING: dict[Exit, str] = {
    Exit.OK: "done",
    Exit.FAILED: "a job failed, a check failed, or there is no such thing",
    Exit.USAGE: "the command line is wrong",
    Exit.UNREACHABLE: "the API does not answer, or is too busy; the same command may work later",
    Exit.DENIED: "no API key, or one that may not do this",
    Exit.REFUSED: "the API understood the request and refused it: invalid, too large, or in conflict",
    Exit.SETUP: "this machine lacks something: a package, a setting, a service",
    Exit.INTERNAL: "a defect in the command itself; run it again with WAYBILL_DEBUG=1 for the traceback",
    Exit.INTERRUPTED: "stopped by Ctrl-C or a signal",
}

EPILOG_ROOT = "Exit codes:\n\n" + "\n\n".join(f"  {code.value:>3}  {text}" for code, text in MEANING.items())
EPILOG = (
    "Exit codes: 0 done, 1 failed or not there, 2 wrong usage, 3 API unreachable, 4 key refused, 5 request refused,"
    " 6 this machine lacks something, 70 defect, 130 interrupted. More: waybill --help"
)
