"""The code of an earlier revision beside this checkout, each with an interpreter that has what its lock names."""

import hashlib
import io
import os
import re
import subprocess
import sys
import tarfile
from dataclasses import dataclass
from pathlib import Path

from tests.factories.processes import ROOT

_VERSIONS = "infra/migrations/versions"
_LOCK = "requirements.lock"
_PIN = re.compile(r"^[a-z0-9][a-z0-9._-]*(?:\[[a-z,-]+\])?==\S+", re.MULTILINE)
_BUILD = ROOT / "build" / "compat"


class NoEarlierRelease(Exception):
    """There is no history to find it in, or no such revision in it."""


@dataclass(frozen=True, slots=True)
class Release:
    """A tree of the product's code, and the interpreter that runs it."""

    name: str
    folder: Path
    python: Path

    @property
    def schema(self) -> str:
        """The newest revision of the schema that it knows."""
        return max(path.name[:4] for path in (self.folder / _VERSIONS).glob("[0-9]*.py"))

    @property
    def has_logins(self) -> bool:
        """Whether each kind of process has a login of its own; before that all had the owner's."""
        return (self.folder / "core" / "kit" / "processes.py").exists()


def git(*arguments: str) -> str:
    """What git answers about this checkout. Raises `NoEarlierRelease`."""
    done = subprocess.run(["git", *arguments], cwd=ROOT, check=False, capture_output=True, text=True)
    if done.returncode != 0:
        raise NoEarlierRelease(f"git {' '.join(arguments)}: {done.stderr.strip()}")
    return done.stdout.strip()


def previous_revision() -> str:
    """The newest tag of a release before this commit; without one, the mainline before its newest migration."""
    tags = git("tag", "--merged", "HEAD", "--no-contains", "HEAD", "--sort=-v:refname", "--list", "v[0-9]*").split()
    if tags:
        return tags[0]
    mainline = ("log", "-1", "--first-parent", "--diff-merges=first-parent", "--no-patch", "--format=%H")
    added = git(*mainline, "--diff-filter=A", "--", f"{_VERSIONS}/[0-9]*.py")
    if not added:
        raise NoEarlierRelease("no commit of the history adds a migration; fetch all of it (git fetch --unshallow)")
    return git("rev-parse", f"{added}^1")


def this_release() -> Release:
    """The checkout as it is, with the interpreter that runs this."""
    return Release("new", ROOT, Path(sys.executable))


def earlier_release(revision: str, folder: Path) -> Release:
    """The code of `revision`, laid out in `folder`. Its lock gets an environment of its own where it differs."""
    commit = git("rev-parse", "--verify", f"{revision}^{{commit}}")
    archive = subprocess.run(["git", "archive", commit], cwd=ROOT, check=True, capture_output=True).stdout
    with tarfile.open(fileobj=io.BytesIO(archive)) as tree:
        tree.extractall(folder, filter="data")
    return Release("old", folder, _interpreter(folder / _LOCK))


def _interpreter(lock: Path) -> Path:
    pins = _pins(lock)
    if pins == _pins(ROOT / _LOCK):
        return Path(sys.executable)
    digest = hashlib.sha256("\n".join(sorted(pins)).encode()).hexdigest()[:12]
    environment = _BUILD / f"python-{digest}"
    ready = environment / ".ready"
    if not ready.exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", environment], check=True)
        uv = Path(sys.executable).with_name("uv")
        install = [str(uv), "pip", "install", "--quiet", "--require-hashes", "--requirement", str(lock)]
        subprocess.run(install, check=True, env={**os.environ, "VIRTUAL_ENV": str(environment)})
        ready.touch()
    return environment / "bin" / "python"


def _pins(lock: Path) -> frozenset[str]:
    return frozenset(_PIN.findall(lock.read_text(encoding="utf-8")))
