"""``python -m waybill.stack.reaper``: stops everything that outlives a killed supervisor.

The supervisor names its children on our standard input, one line each: ``+PID SIGNAL`` when one starts, ``-PID`` when
one has ended. When the input ends, the supervisor is gone: the kernel has already sent each child its signal
(`waybill.stack.child`; except on Linux we send it), and what still runs after `GRACE_SECONDS` is killed with
its whole process group. Until then we hold the lock of the folder, which we inherited.
"""

import os
import signal
import sys
from time import monotonic, sleep

GRACE_SECONDS = 8.0
_PAUSE_SECONDS = 0.05


def main() -> None:
    """Follow the supervisor until it ends, then stop what it left behind."""
    groups: dict[int, int] = {}
    for line in sys.stdin:
        pid, _, number = line[1:].partition(" ")
        if line.startswith("+"):
            groups[int(pid)] = int(number)
        else:
            groups.pop(int(pid), None)
    if sys.platform != "linux":
        for pid, number in groups.items():
            _signal_group(pid, number)
    until = monotonic() + GRACE_SECONDS
    while monotonic() < until and any(_signal_group(pid, 0) for pid in groups):
        sleep(_PAUSE_SECONDS)
    for pid in groups:
        _signal_group(pid, signal.SIGKILL)


def _signal_group(pid: int, number: int) -> bool:
    try:
        os.killpg(pid, number)
    except ProcessLookupError:
        return False
    return True


if __name__ == "__main__":
    main()
