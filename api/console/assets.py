"""Scripts, styles and the icon, each at an address with its digest, so that a browser may keep it for good."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parent / "static"
PREFIX = "/console/static"
_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}


@dataclass(frozen=True, slots=True)
class Asset:
    """A file as it is served."""

    content: bytes
    media_type: str
    digest: str


@cache
def assets() -> Mapping[str, Asset]:
    """Every file of a known kind below `ROOT`, by its path there."""
    found = {}
    for path in sorted(ROOT.rglob("*")):
        if path.suffix in _TYPES:
            content = path.read_bytes()
            digest = hashlib.sha256(content).hexdigest()
            found[path.relative_to(ROOT).as_posix()] = Asset(content, _TYPES[path.suffix], digest)
    return found


def asset_url(name: str) -> str:
    """The address of a file. Raises `KeyError` for one that does not exist."""
    return f"{PREFIX}/{assets()[name].digest[:16]}/{name}"
