"""``python -m tests.factories.guarded_research``: a whole research job in a fresh process that may reach nobody.

Prints as JSON what the process tried to reach and which files it wrote, from before CrewAI was imported to the end of
the job, and the steps.
"""

import json
import os
import socket
import sys
import threading
import warnings
from contextlib import suppress

from tests.factories.network_guard import OutboundConnection, watch_process


def watch_writing() -> list[str]:
    """Every path that this process opens for writing from now on; bytecode aside."""
    written: list[str] = []

    def hear(event: str, arguments: tuple[object, ...]) -> None:
        if event == "open" and isinstance(arguments[0], str) and isinstance(arguments[2], int):
            path, flags = arguments[0], arguments[2]
            if flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT) and "__pycache__" not in path:
                written.append(path)
        elif event == "sqlite3.connect":
            written.append(str(arguments[0]))

    sys.addaudithook(hear)
    return written


def main() -> None:
    """Prove that the guard hears, then run the job."""
    attempts = watch_process()
    written = watch_writing()
    for target in (("telemetry.example", 443), ("192.0.2.1", 443)):
        with suppress(OutboundConnection):
            socket.create_connection(target, timeout=1)
    heard = len(attempts)
    attempts.clear()
    warnings.simplefilter("ignore")

    from core.gateway.service import open_gateway
    from core.kit.settings import Settings
    from tests.factories.research import Research, finding

    research = Research(open_gateway(Settings(model_base_url=None)), finding())
    research.report("What does extended cover cost?", "kb_01kb0d3h5we3v9wq2m8c5r6t7x")
    for thread in threading.enumerate():
        if thread is not threading.current_thread() and not thread.daemon:
            thread.join(1)
    reported = {
        "heard": heard,
        "attempts": attempts,
        "steps": research.steps,
        "crewai": "crewai" in sys.modules,
        "written": [path for path in written if not path.startswith("/dev/")],
    }
    sys.stdout.write(json.dumps(reported) + "\n")


if __name__ == "__main__":
    main()
