"""Opens files in the sandbox and turns its ends into refusals that name a remedy."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from core.capability import UploadedFile
from pipelines._kit import sandbox
from pipelines.multimodal.files.detect import refuse
from pipelines.multimodal.files.limits import BOUNDS

_CHILD = "pipelines.multimodal.files.child"


def inspect(file: UploadedFile, folder: Path, check: Callable[[], None]) -> dict[str, Any]:
    """``{"kind", "pages"}`` of the file. Raises `CapabilityFailure`."""
    return _run({"action": "inspect", "path": str(file.path), "content_type": file.content_type}, folder, check)


def render(
    file: UploadedFile, kind: str, numbers: Sequence[int], folder: Path, check: Callable[[], None]
) -> list[dict[str, Any]]:
    """The pages, whose pictures lie in `folder`; numbers count from 1. Raises `CapabilityFailure`."""
    task = {"action": "render", "path": str(file.path), "kind": kind, "pages": list(numbers)}
    pages: list[dict[str, Any]] = _run(task, folder, check)["pages"]
    return pages


def decode(file: UploadedFile, folder: Path, check: Callable[[], None]) -> dict[str, Any]:
    """``{"file", "seconds"}``: samples in `folder`. Raises `CapabilityFailure`."""
    return _run({"action": "decode", "path": str(file.path)}, folder, check)


def _run(task: dict[str, Any], folder: Path, check: Callable[[], None]) -> dict[str, Any]:
    try:
        return sandbox.run(_CHILD, task, folder, bounds=BOUNDS, check=check)
    except sandbox.SandboxFailure as failure:
        reason = failure.reason
    if reason == sandbox.TOO_SLOW:
        refuse("Reading this file takes longer than is allowed.", "Split or simplify it.", code="file_too_slow")
    if reason == sandbox.TOO_MUCH_MEMORY:
        refuse("Reading this file needs more memory than is allowed.", "Split or simplify it.", code="file_too_large")
    return refuse("This file makes its reader fail; it is probably damaged.", "Export it again.", code="file_corrupt")
