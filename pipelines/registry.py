"""Every capability of this installation: built in, from installed packages, from the settings, and remote ones."""

from functools import lru_cache
from importlib import import_module
from importlib.metadata import entry_points

from core.capability import Manifest
from core.kit.settings import get_settings
from pipelines.remote.manifests import read_remote

ENTRY_POINT_GROUP = "waybill.capabilities"


@lru_cache(maxsize=1)
def manifests() -> dict[str, Manifest]:
    """Manifests by capability id. Raises ValueError when two claim the same id."""
    from pipelines.capabilities import CAPABILITIES

    found = list(CAPABILITIES)
    for entry_point in entry_points(group=ENTRY_POINT_GROUP):
        found.extend(_many(entry_point.load()))
    for reference in get_settings().extra_capabilities:
        module, _, name = reference.partition(":")
        found.extend(_many(getattr(import_module(module), name)))
    found.extend(manifest for manifest, _ in read_remote(get_settings()))
    named: dict[str, Manifest] = {}
    for manifest in found:
        if manifest.id in named:
            raise ValueError(f"two capabilities claim the id {manifest.id}")
        named[manifest.id] = manifest
    return named


def version_of(capability: str) -> str | None:
    """The version of a capability, None for one that is not offered here."""
    manifest = manifests().get(capability)
    return None if manifest is None else manifest.version


def pools() -> tuple[str, ...]:
    """The pools that the capabilities need, in a stable order."""
    return tuple(sorted({manifest.pool for manifest in manifests().values()}))


def _many(loaded: Manifest | tuple[Manifest, ...]) -> tuple[Manifest, ...]:
    return (loaded,) if isinstance(loaded, Manifest) else tuple(loaded)
