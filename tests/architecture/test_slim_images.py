"""What the Dockerfiles take out of an environment: nothing that a process reads."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import uvloop

from infra.images.slim import slim


@pytest.mark.skipif(shutil.which("strip") is None, reason="needs binutils (Debian: apt install binutils)")
def test_what_no_process_reads_goes_and_the_rest_works(tmp_path: Path) -> None:
    shutil.copytree(Path(uvloop.__file__).parent, tmp_path / "uvloop")
    [module] = tmp_path.glob("uvloop/loop*.so")
    before = module.stat().st_size
    unread = [
        "uvloop/tests/test_loop.py",
        "uvloop/extra.pyi",
        "uvloop/extra.c",
        "onnxruntime/tools/convert.py",
        "onnxruntime/capi/libonnxruntime.so.1.32.0",
    ]
    for name in [*unread, "onnxruntime/capi/session.py"]:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()

    slim(tmp_path)

    assert not any((tmp_path / name).exists() for name in unread)
    assert (tmp_path / "onnxruntime/capi/session.py").exists()
    assert module.stat().st_size < before / 2
    use = "import uvloop; loop = uvloop.new_event_loop(); loop.run_until_complete(loop.getaddrinfo('127.0.0.1', 1))"
    subprocess.run([sys.executable, "-c", use], env={**os.environ, "PYTHONPATH": str(tmp_path)}, check=True)
