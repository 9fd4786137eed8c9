"""Which files a page shows itself. Everything else, HTML and SVG among it, is only downloaded."""

from typing import Literal

from core.jobs.artifacts import ArtifactRecord

TEXT_MAX_BYTES = 64 * 1024
_IMAGE_MAX_BYTES = 5_000_000
_IMAGES = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp"})
_TEXTS = frozenset({"application/json", "application/x-ndjson", "application/yaml", "application/xml"})


def preview_of(file: ArtifactRecord) -> Literal["image", "text", ""]:
    """How a file is shown: drawn by an ``img`` element, as escaped text, or not at all."""
    kind = file.content_type.partition(";")[0].strip().lower()
    if kind in _IMAGES and file.size_bytes <= _IMAGE_MAX_BYTES:
        return "image"
    return "text" if kind.startswith("text/") or kind in _TEXTS else ""
