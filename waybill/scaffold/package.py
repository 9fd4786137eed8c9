"""Writes a new capability's package into its own folder."""

import re
from pathlib import Path
from string import Template

from waybill.cli.failures import CliError
from waybill.scaffold.files import FILES

_ID = re.compile(r"[a-z][a-z0-9_]{0,63}\.[a-z][a-z0-9_]{0,63}")


def write_package(capability: str, into: Path) -> Path:
    """The package of `capability` (``<folder>.<verb>``) below `into`; returns its folder.

    Raises `CliError` for an invalid id, and when the folder already exists: nothing is overwritten.
    """
    if _ID.fullmatch(capability) is None:
        raise CliError(
            f"{capability[:100]} is no capability's id",
            remedy="write <folder>.<verb> in small letters, for example language.translate",
            code="capability_id",
        )
    folder, _, verb = capability.partition(".")
    root = into / f"waybill-{folder.replace('_', '-')}"
    if root.exists():
        raise CliError(f"{root} is there already", remedy="choose another place with --into", code="folder_exists")
    filled = {
        "id": capability,
        "folder": folder,
        "constant": verb.upper(),
        "package": f"waybill_{folder}",
        "distribution": root.name,
        "title": "".join(part.capitalize() for part in verb.split("_")),
        "words": f"{verb.replace('_', ' ').capitalize()}",
    }
    for name, template in FILES.items():
        path = root / Template(name).substitute(filled)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(Template(template).substitute(filled), encoding="utf-8")
    return root
