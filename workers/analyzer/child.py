"""The code in a child of the guard's process: the recognizers, loaded once."""

from collections.abc import Callable, Mapping
from typing import Any

from core.guard.detection import Detector
from core.guard.wire import as_json

Handler = Callable[[Mapping[str, Any], bytes], dict[str, Any]]


def open_detector() -> Handler:
    """A handler for the built-in recognizers. Takes seconds."""
    return handler_of(Detector())


def handler_of(detector: Detector) -> Handler:
    """A handler that takes ``{"texts": […], "kinds": […] | null}`` and returns ``{"findings": [[…], …]}``."""

    def handle(task: Mapping[str, Any], _payload: bytes) -> dict[str, Any]:
        kinds = task["kinds"]
        found = detector.analyze(task["texts"], None if kinds is None else frozenset(kinds))
        return {"findings": [[as_json(finding) for finding in findings] for findings in found]}

    return handle
