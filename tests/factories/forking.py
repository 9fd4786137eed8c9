"""What becomes a process of the product when a test asks for one: a fork of the product's own fork server.

To import what they need again would take each of some 250 dispatchers and workers longer than what they do.
"""

import os
import tempfile
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

from waybill.stack.fork_server import Forked, ForkServer
from waybill.stack.plan import SHARED_MODULES

# The API mostly runs in the test process.
_MODULES = [name for name in SHARED_MODULES if not name.startswith(("api.", "waybill."))]


def fork(arguments: Sequence[str], variables: Mapping[str, str], folder: Path, log: Path) -> Forked:
    """What ``python -m`` with `arguments` does, in a process of that environment and folder that logs to `log`."""
    return _server().fork(arguments, variables, log, folder)


@cache
def _server() -> ForkServer:
    """The one of this test process, which ends with it."""
    descriptor, log = tempfile.mkstemp(prefix="waybill-test-forks-", suffix=".log")
    os.close(descriptor)
    hidden = ("WAYBILL_", "DATABASE_URL", "REDIS_URL")
    own = {name: value for name, value in os.environ.items() if not name.startswith(hidden)}
    own["PYTHONPATH"] = str(Path(__file__).resolve().parents[2])
    return ForkServer([*_MODULES, "tests.factories.capabilities"], own, Path(log))
