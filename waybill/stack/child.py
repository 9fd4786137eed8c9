"""``python -m waybill.stack.child PARENT SIGNAL COMMAND…``: becomes the command, tied to its parent.

The kernel sends the command that signal when the parent dies, even by SIGKILL (Linux, prctl(2), PR_SET_PDEATHSIG);
on other systems the command simply starts.
"""

import ctypes
import os
import signal
import sys
from collections.abc import Sequence

_PR_SET_PDEATHSIG = 1


def guarded(command: Sequence[str], when_orphaned: signal.Signals = signal.SIGTERM) -> list[str]:
    """`command` run through this module, as a child of the current process."""
    return [sys.executable, "-P", "-m", "waybill.stack.child", str(os.getpid()), str(int(when_orphaned)), *command]


def main(arguments: list[str]) -> None:
    """Tie this process to the parent named first, then become the command that follows."""
    parent, number, command = int(arguments[0]), int(arguments[1]), arguments[2:]
    if sys.platform == "linux":
        libc = ctypes.CDLL(None, use_errno=True)
        libc.prctl(_PR_SET_PDEATHSIG, number, 0, 0, 0)
        if os.getppid() != parent:
            # The parent died before the call above could see it.
            sys.exit(1)
    os.execvp(command[0], command)  # noqa: S606 - the caller's command, no shell


if __name__ == "__main__":
    main(sys.argv[1:])
