"""A folder of backups, each in a folder named by its start time."""

import re
import shutil
from datetime import datetime
from pathlib import Path

from waybill.backup.manifest import SUMS
from waybill.cli.exits import Exit
from waybill.cli.failures import CliError

_FORMAT = "%Y-%m-%dT%H%M%SZ"
_WHOLE = re.compile(r"\d{4}-\d{2}-\d{2}T\d{6}Z")
_UNFINISHED = re.compile(rf"\.({_WHOLE.pattern})\.unfinished-.+")


def member(folder: Path, moment: datetime) -> Path:
    """The path in `folder` of the backup that begins at `moment`, in UTC. Names sort by time."""
    return folder / moment.strftime(_FORMAT)


def thin(folder: Path, keep: int) -> list[str]:
    """Remove all but the `keep` newest backups in `folder`, and older leftovers of interrupted ones.

    Returns the names of the removed backups. At least one backup must exist; other files are not touched. Raises
    `CliError`.
    """
    names = sorted(each.name for each in folder.iterdir() if each.is_dir() and not each.is_symlink())
    whole = [name for name in names if _WHOLE.fullmatch(name)]
    removed, oldest = whole[:-keep], whole[-keep:][0]
    left = [name for name in names if (found := _UNFINISHED.fullmatch(name)) and found[1] < oldest]
    for name in (*removed, *left):
        try:
            # Remove its checksums first, so that a half-removed folder does not pass for a backup.
            (folder / name / SUMS).unlink(missing_ok=True)
            shutil.rmtree(folder / name)
        except OSError as error:
            raise CliError(
                f"the new backup was made, but {folder / name} could not be removed: {error.strerror}",
                remedy="remove it manually, or omit --keep if backups are write-protected",
                code="backup_not_removed",
                exit_code=Exit.FAILED,
            ) from error
    return removed
