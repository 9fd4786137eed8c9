"""A real worker that SIGKILLs itself at a named point of a job's life.

``python -m tests.factories.crashing_worker POINT``. The process dies as a lost machine does: nothing is flushed, closed
or rolled back by it.
"""

import os
import signal
import sys
from collections.abc import Callable
from typing import Any

from core.jobs import leases, settlements
from core.kit.settings import get_settings
from core.ledger import service as ledger
from workers.context import AttemptContext
from workers.metering import Meter
from workers.worker import main

# Where it dies: the owner of a function, its name, and whether it dies before or after the function's work.
POINTS: dict[str, tuple[Any, str, str]] = {
    "before_the_claim": (leases, "claim", "before"),
    "claimed": (leases, "claim", "after"),
    "before_the_intent": (ledger, "begin_call", "before"),
    "intent_written": (ledger, "begin_call", "after"),
    "answered": (Meter, "_settlement", "before"),
    "settled": (settlements, "settle_call", "after"),
    "before_the_end": (leases, "end", "before"),
    "ended": (leases, "end", "after"),
    "published": (AttemptContext, "publish", "after"),
}


def _dying(function: Callable[..., Any], when: str) -> Callable[..., Any]:
    def wrapper(*arguments: Any, **named: Any) -> Any:
        if when == "after":
            function(*arguments, **named)
        os.kill(os.getpid(), signal.SIGKILL)

    return wrapper


if __name__ == "__main__":
    owner, name, moment = POINTS[sys.argv[1]]
    setattr(owner, name, _dying(getattr(owner, name), moment))
    sys.exit(main(get_settings(), "probe", 1))
