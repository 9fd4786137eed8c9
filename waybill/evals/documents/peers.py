"""Other readers of the same files. A peer that is not installed is reported by name."""

import importlib.util
import io
import logging
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Peer:
    """Another library that reads files of one kind. `module` has to be installed."""

    name: str
    module: str
    suffix: str
    read: Callable[[bytes], str]

    @property
    def is_installed(self) -> bool:
        """Whether it is installed here."""
        return importlib.util.find_spec(self.module) is not None


def _pypdf(data: bytes) -> str:
    import pypdf

    return "\n".join(page.extract_text() for page in pypdf.PdfReader(io.BytesIO(data)).pages)


def _pdfminer(data: bytes) -> str:
    from pdfminer.high_level import extract_text

    return str(extract_text(io.BytesIO(data)))


def _pdfplumber(data: bytes) -> str:
    import pdfplumber

    with pdfplumber.open(io.BytesIO(data)) as opened:
        return "\n".join(page.extract_text() or "" for page in opened.pages)


def _mammoth(data: bytes) -> str:
    import mammoth

    return str(mammoth.extract_raw_text(io.BytesIO(data)).value)


PEERS = (
    Peer("pypdf", "pypdf", ".pdf", _pypdf),
    Peer("pdfminer.six", "pdfminer", ".pdf", _pdfminer),
    Peer("pdfplumber", "pdfplumber", ".pdf", _pdfplumber),
    Peer("mammoth", "mammoth", ".docx", _mammoth),
)


def read_with(peer: Peer, data: bytes) -> str | None:
    """The text that the peer reads; None when it fails."""
    logging.disable(logging.WARNING)
    try:
        return peer.read(data)
    except Exception:  # noqa: BLE001 - whatever the peer raises, it did not read the file
        return None
    finally:
        logging.disable(logging.NOTSET)
