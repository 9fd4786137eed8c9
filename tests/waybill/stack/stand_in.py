"""``python -m tests.waybill.stack.stand_in ROLE…``: a supervisor over small children, one per role named.

Prints a line of JSON per notice and ``{"kind": "running"}`` once it is ready. Ends with 3 after a `StackError`.
"""

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict

from core.kit.settings import Settings
from waybill.stack.errors import StackError
from waybill.stack.plan import Child, Logged
from waybill.stack.process import Patience
from waybill.stack.supervisor import Notice, Stack

SLEEPER = "print('ready', flush=True); import time; time.sleep(600)"
STUBBORN = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {SLEEPER}"
# Itself obedient, but leaves a stubborn child of its own in its group.
PARENT = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {STUBBORN!r}]); {SLEEPER}"
STUMBLER = f"import os, pathlib; p = pathlib.Path(os.environ['WAYBILL_HOME'], 'stumbled'); p.exists() or (p.touch(), os._exit(9)); {SLEEPER}"  # noqa: E501
CRASHER = "import sys; print('cannot go on: no flour', flush=True); sys.exit(7)"
SILENT = "import time; time.sleep(600)"

SOURCES = {
    "sleeper": SLEEPER,
    "stubborn": STUBBORN,
    "parent": PARENT,
    "stumbler": STUMBLER,
    "crasher": CRASHER,
    "optional-crasher": CRASHER,
    "silent": SILENT,
}


def children(names: Sequence[str]) -> list[Child]:
    return [
        Child(
            name,
            (sys.executable, "-c", SOURCES[name]),
            Logged("ready"),
            tier=tier,
            grace_seconds=60.0,
            essential=not name.startswith("optional"),
        )
        for tier, name in enumerate(names)
    ]


def say(notice: Notice) -> None:
    sys.stdout.write(json.dumps(asdict(notice)) + "\n")
    sys.stdout.flush()


def main(names: list[str]) -> int:
    patience = Patience(crashes_max=3, first_pause_seconds=0.1, ready_seconds=60.0)
    stack = Stack(
        Settings(),
        flower=False,
        report=say,
        children=lambda _settings, _flower: children(names),
        patience=patience,
        modules=(),
    )
    try:
        with stack:
            sys.stdout.write('{"kind": "running"}\n')
            sys.stdout.flush()
            stack.wait()
    except StackError as error:
        sys.stdout.write(json.dumps({"kind": "error", "text": str(error)}) + "\n")
        return 3
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
