"""Exit codes that scripts can rely on. ``docs/reference/cli.md`` repeats this table; a test keeps them in sync."""

from enum import IntEnum


class Exit(IntEnum):
    """Why a command exited."""

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
    Exit.FAILED: "a job or a check failed, or the resource was not found",
    Exit.USAGE: "invalid usage: wrong arguments or options",
    Exit.UNREACHABLE: "the API does not answer or is too busy; try the same command again later",
    Exit.DENIED: "the API key is missing, invalid or lacks permission",
    Exit.REFUSED: "the API refused the request: invalid, too large, or in conflict",
    Exit.SETUP: "something is missing on this machine: a package, a setting or a service",
    Exit.INTERNAL: "internal error; run again with WAYBILL_DEBUG=1 to see the traceback",
    Exit.INTERRUPTED: "stopped by Ctrl-C or a signal",
}

EPILOG_ROOT = "Exit codes:\n\n" + "\n\n".join(f"  {code.value:>3}  {text}" for code, text in MEANING.items())
EPILOG = (
    "Exit codes: 0 done, 1 failed or not found, 2 invalid usage, 3 API unreachable, 4 key refused, 5 request refused,"
    " 6 something missing on this machine, 70 internal error, 130 interrupted. More: waybill --help"
)
