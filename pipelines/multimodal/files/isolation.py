"""Opens files in warm children and turns their failures into refusals that name a remedy.

`check` is called about ten times a second, and the child is killed when it raises; files of two owners are never opened
by the same child.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from core.capability import UploadedFile
from core.kit.errors import CapabilityFailure
from pipelines._kit.sandbox.pool import Pool, shared
from pipelines._kit.sandbox.profile import NOT_STARTED, TOO_MUCH_MEMORY, TOO_SLOW, SandboxFailure, SandboxProfile
from pipelines.multimodal.files.detect import refuse
from pipelines.multimodal.filling.labels import Match

FILES = SandboxProfile(name="files", entry="pipelines.multimodal.files.child:open_files", size=2)


def inspect(file: UploadedFile, check: Callable[[], None], *, owner: str) -> dict[str, Any]:
    """``{"kind", "pages"}`` of the file. Raises `CapabilityFailure`."""
    task = {"action": "inspect", "path": _absolute(file.path), "content_type": file.content_type, "folder": ""}
    return ask(shared(FILES), task, check, owner=owner)


def render(
    file: UploadedFile, kind: str, numbers: Sequence[int], folder: Path, check: Callable[[], None], *, owner: str
) -> list[dict[str, Any]]:
    """The pages, whose pictures lie in `folder`; numbers count from 1. Raises `CapabilityFailure`."""
    task = {
        "action": "render",
        "path": _absolute(file.path),
        "kind": kind,
        "pages": list(numbers),
        "folder": _absolute(folder),
    }
    pages: list[dict[str, Any]] = ask(shared(FILES), task, check, owner=owner)["pages"]
    return pages


def decode(file: UploadedFile, folder: Path, check: Callable[[], None], *, owner: str) -> dict[str, Any]:
    """``{"file", "seconds"}``: samples in `folder`. Raises `CapabilityFailure`."""
    task = {"action": "decode", "path": _absolute(file.path), "folder": _absolute(folder)}
    return ask(shared(FILES), task, check, owner=owner)


def match(
    schema: Mapping[str, Any], lines: Sequence[Mapping[str, Any]], check: Callable[[], None], *, owner: str
) -> dict[str, Match]:
    """As `filling.fill.fill`, in a child, so that slow lines hold up nothing else. Raises `CapabilityFailure`."""
    task = {"action": "match", "schema": schema, "lines": lines}
    found: dict[str, Any] = ask(shared(FILES), task, check, owner=owner)["found"]
    return {name: Match(**{**known, "lines": tuple(known["lines"])}) for name, known in found.items()}


def ask(pool: Pool, task: dict[str, Any], check: Callable[[], None], *, owner: str) -> dict[str, Any]:
    """The answer of a child of `pool` to `task`. Raises `CapabilityFailure`."""
    try:
        return pool.call(task, check=check, owner=owner)
    except SandboxFailure as failure:
        reason = failure.reason
    if reason == NOT_STARTED:
        raise CapabilityFailure(
            "The process that opens files does not start.", code="process_unavailable", retryable=True
        )
    if reason == TOO_SLOW:
        refuse("Reading this file takes longer than is allowed.", "Split or simplify it.", code="file_too_slow")
    if reason == TOO_MUCH_MEMORY:
        refuse("Reading this file needs more memory than is allowed.", "Split or simplify it.", code="file_too_large")
    return refuse("This file makes its reader fail; it is probably damaged.", "Export it again.", code="file_corrupt")


def _absolute(path: Path) -> str:
    # The child's working directory is not the worker's.
    return str(path.absolute())
