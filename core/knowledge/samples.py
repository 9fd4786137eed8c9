"""The sample documents with which a newcomer tries the product: in a checkout of the repository, not in the package."""

from pathlib import Path

NAME = "sample-handbook"
DESCRIPTION = "The handbook of Veldhaven, a parcel company that was made up for this"
FOLDER = Path(__file__).resolve().parents[2] / "samples" / "corpus"


def documents() -> list[Path]:
    """The sample documents by name; none where the repository is not at hand."""
    return sorted(FOLDER.iterdir()) if FOLDER.is_dir() else []
