"""Folders of payloads do not outlive the process that made them."""

import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from core.kit import scratch

HOLD = """
import sys
from core.kit.scratch import scratch_folder
with scratch_folder() as folder:
    (folder / "content").write_text("a customer's file")
    print(folder, flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    monkeypatch.setattr(scratch, "_folders", {})
    return tmp_path / f"waybill-{os.getuid()}"


def hold() -> tuple[subprocess.Popen[str], Path]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=Path.cwd()
    )
    assert process.stdout is not None
    return process, Path(process.stdout.readline().strip())


def test_what_a_killed_process_left_is_removed_by_the_next_and_nothing_else(root: Path) -> None:
    (killed, left), (living, held) = hold(), hold()
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    assert (left / "content").exists()
    assert scratch.sweep() == 1
    assert not left.parent.exists()
    assert (held / "content").read_text() == "a customer's file"
    living.communicate("")
    assert not held.parent.exists()
    assert list(root.iterdir()) == []


def test_a_folder_is_gone_after_its_block_and_closed_to_others(root: Path) -> None:
    with scratch.scratch_folder() as folder:
        (folder / "content").write_text("x")
        assert [stat.S_IMODE(each.stat().st_mode) for each in (root, folder.parent, folder)] == [0o700] * 3
        assert scratch.sweep() == 0
    assert not folder.exists()
    scratch._close_own(os.getpid())
    assert list(root.iterdir()) == []


def test_a_root_that_is_open_to_others_is_refused(root: Path) -> None:
    root.mkdir(mode=0o755)
    with pytest.raises(PermissionError, match="TMPDIR"), scratch.scratch_folder():
        pass
