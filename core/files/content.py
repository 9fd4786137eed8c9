"""Detects a file's format by its first bytes. The client's declared type counts unless the bytes contradict it."""

from core.kit.errors import UnsupportedMedia

HEAD_BYTES = 1024
UNKNOWN = "application/octet-stream"

# Signatures from the formats' own specifications: offset, bytes and media type.
_SIGNATURES: tuple[tuple[int, bytes, str], ...] = (
    (0, b"\x89PNG\r\n\x1a\n", "image/png"),
    (0, b"\xff\xd8\xff", "image/jpeg"),
    (0, b"GIF87a", "image/gif"),
    (0, b"GIF89a", "image/gif"),
    (8, b"WEBP", "image/webp"),
    (0, b"II*\x00", "image/tiff"),
    (0, b"MM\x00*", "image/tiff"),
    (0, b"%PDF-", "application/pdf"),
    (8, b"WAVE", "audio/wav"),
    (0, b"fLaC", "audio/flac"),
    (0, b"OggS", "audio/ogg"),
    (0, b"ID3", "audio/mpeg"),
    (0, b"\xff\xfb", "audio/mpeg"),
    (0, b"\xff\xf3", "audio/mpeg"),
    (0, b"\xff\xf2", "audio/mpeg"),
    (4, b"ftypM4A ", "audio/mp4"),
    (4, b"ftyp", "video/mp4"),
    (0, b"PK\x03\x04", "application/zip"),
    (0, b"\x1f\x8b", "application/gzip"),
    (0, b"\x7fELF", "application/x-elf"),
    (0, b"MZ", "application/vnd.microsoft.portable-executable"),
)
_RIFF = frozenset({"image/webp", "audio/wav"})
# Formats whose container is another format, and other names of the same format.
_INSIDE = {
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": "application/zip",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": "application/zip",
    "application/vnd.openxmlformats-officedocument.presentationml.presentation": "application/zip",
    "application/epub+zip": "application/zip",
    "application/x-zip-compressed": "application/zip",
    "application/x-pdf": "application/pdf",
    "image/jpg": "image/jpeg",
    "audio/x-wav": "audio/wav",
    "audio/wave": "audio/wav",
    "audio/vnd.wave": "audio/wav",
    "audio/mp3": "audio/mpeg",
    "audio/x-flac": "audio/flac",
    "audio/x-m4a": "audio/mp4",
    "audio/m4a": "audio/mp4",
    "audio/opus": "audio/ogg",
    "application/ogg": "audio/ogg",
    "application/x-gzip": "application/gzip",
}
_KNOWN = frozenset(kind for _, _, kind in _SIGNATURES)
# One container format with several names: its content decides, which the first bytes do not reveal.
_ALIKE = ({"audio/mp4", "video/mp4"}, {"audio/ogg", "video/ogg"})


class TypeMismatch(UnsupportedMedia):
    """The bytes have a different format from the declared one."""

    default_code = "file_type_mismatch"


def detect(head: bytes) -> str | None:
    """The format of a file that starts with `head`, as a media type; None for text and unknown formats."""
    for offset, signature, kind in _SIGNATURES:
        if head[offset : offset + len(signature)] == signature and (kind not in _RIFF or head[:4] == b"RIFF"):
            return kind
    return None


def settle_type(declared: str, head: bytes) -> str:
    """The media type under which a file is stored. Raises `TypeMismatch` when its bytes contradict `declared`."""
    found = detect(head)
    if declared == UNKNOWN:
        return found or ("text/plain" if _is_text(head) else UNKNOWN)
    expected = _INSIDE.get(declared, declared)
    if found is None:
        if expected in _KNOWN:
            raise TypeMismatch(f"the file is declared as {declared}, but does not start like one")
        if declared.startswith("text/") and not _is_text(head):
            raise TypeMismatch(f"the file is declared as {declared}, but is not UTF-8 text")
        return declared
    if expected == found or any({expected, found} <= alike for alike in _ALIKE):
        return declared
    raise TypeMismatch(f"the file is declared as {declared}, but its first bytes are those of {found}")


def _is_text(head: bytes) -> bool:
    if b"\x00" in head:
        return False
    try:
        head.decode()
    except UnicodeDecodeError as error:
        # The head may end in the middle of a character.
        return error.start >= len(head) - 3
    return True
