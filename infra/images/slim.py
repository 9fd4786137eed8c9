"""Takes out of an image's environment what no process reads: ``python slim.py ENVIRONMENT``. Needs binutils.

Tests, type stubs, C sources, and the symbols by which a debugger names what it sees in an extension module: of some
wheels they are most of the file. And what wheels bring for other uses than ours.
"""

import ctypes
import shutil
import subprocess
import sys
from pathlib import Path

_SUFFIXES = {".pyi", ".pyx", ".pxd", ".c", ".h", ".hpp", ".cpp", ".a"}
_OTHER_USES = (
    # What converts models, and the runtime once more, for programs that are not Python.
    "onnxruntime/quantization",
    "onnxruntime/tools",
    "onnxruntime/transformers",
    "onnxruntime/capi/libonnxruntime.so.*",
    # Chroma itself. CrewAI imports its client; only its memory store, which no crew of ours uses, opens a collection.
    "chromadb_rust_bindings",
)


def slim(packages: Path) -> None:
    """Remove it from the folder of installed packages. Raises OSError when a stripped module cannot be loaded."""
    for pattern in ("**/tests", *_OTHER_USES):
        for each in list(packages.glob(pattern)):
            if each.is_dir():
                shutil.rmtree(each)
            else:
                each.unlink(missing_ok=True)
    for file in [each for each in packages.glob("**/*") if each.suffix in _SUFFIXES]:
        file.unlink()
    # Libraries that a wheel brings along in a folder of its own were edited to find each other: they stay as they are.
    modules = [each for each in packages.glob("**/*.so") if not each.parent.name.endswith(".libs")]
    if modules:
        subprocess.run(["strip", "--strip-unneeded", *modules], check=True)  # noqa: S603, S607 - in a build
    for module in modules:
        ctypes.CDLL(str(module))


if __name__ == "__main__":
    for folder in Path(sys.argv[1]).glob("lib/python3*/site-packages"):
        slim(folder)
