"""A child for the sandbox that does what a hostile file makes a parser do: ``python -m tests.factories.sandboxed``."""

import ctypes
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from core.kit.errors import CapabilityFailure
from pipelines._kit import sandbox


def handle(task: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Do what `task` says; the process's id stands in ``pid`` from the beginning."""
    (folder / "pid").write_text(str(os.getpid()))
    match task["act"]:
        case "sleep":
            time.sleep(600)
        case "burn":
            while True:
                pass
        case "allocate":
            return {"size": len(bytearray(task["bytes"]))}
        case "write":
            (folder / "large").write_bytes(b"x" * task["bytes"])
        case "segfault":
            ctypes.string_at(0)
        case "leave":
            os._exit(0)
        case "refuse":
            raise CapabilityFailure("it is encrypted", code="file_encrypted")
        case "break":
            raise KeyError("a secret of the file")
    return {"environment": sorted(os.environ), "read": task.get("read")}


if __name__ == "__main__":
    sandbox.serve(handle)
