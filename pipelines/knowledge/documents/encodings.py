"""Decodes text. In this order: a byte order mark, the file's declaration, UTF-8, the most plausible text of a language.

The declarations and their names are WHATWG's (Encoding Standard; HTML, "determining the character encoding"). A guess
is made only when one reading is clearly better than all others: no text is better than wrong text.
"""

import codecs
import re
from dataclasses import dataclass

from pipelines.knowledge.documents.document import clean
from pipelines.knowledge.documents.errors import ENCODING, UNSUPPORTED, UnreadableDocument
from pipelines.knowledge.documents.formats import READ_FORMATS
from pipelines.knowledge.documents.plausibility import guess, guess_wide

# UTF-32 first: its mark starts with UTF-16's.
_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"), (codecs.BOM_UTF32_BE, "utf-32"), (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"),
)  # fmt: skip
_PRESCAN_BYTES = 4096
_META = re.compile(rb"<meta\b[^<>]{0,500}?\bcharset\s{0,5}=\s{0,5}[\"']?\s{0,5}([\w.:\-]{1,40})", re.IGNORECASE)
_XML = re.compile(rb"<\?xml\b[^<>]{0,200}?\bencoding\s{0,5}=\s{0,5}[\"']([\w.:\-]{1,40})[\"']", re.IGNORECASE)
_COMMENT = re.compile(rb"<!--.*?(?:-->|\Z)", re.DOTALL)
# Names that mean more on the web than they claim, and the codec of Python that reads them.
_WEB_NAMES = {
    **dict.fromkeys(("ascii", "us-ascii", "iso-8859-1", "iso8859-1", "latin1", "latin-1", "windows-1252"), "cp1252"),
    **dict.fromkeys(("gb2312", "gb_2312-80", "gbk", "x-gbk", "gb18030"), "gb18030"),
    **dict.fromkeys(("shift_jis", "shift-jis", "sjis", "x-sjis", "ms_kanji", "windows-31j"), "cp932"),
    **dict.fromkeys(("euc-kr", "ks_c_5601-1987", "ksc5601", "korean", "windows-949"), "cp949"),
    **dict.fromkeys(("big5", "big5-hkscs", "x-x-big5", "cn-big5"), "big5hkscs"),
    **dict.fromkeys(("iso-8859-9", "latin5", "windows-1254"), "cp1254"),
    **dict.fromkeys(("iso-8859-11", "tis-620", "windows-874"), "cp874"),
    # A page that reads as ASCII so far cannot be in UTF-16.
    **dict.fromkeys(("utf-16", "utf-16le", "utf-16be", "utf8", "unicode-1-1-utf-8"), "utf-8"),
    "macintosh": "mac_roman", "x-mac-cyrillic": "mac_cyrillic", "iso-8859-8-i": "iso-8859-8",
}  # fmt: skip
_SINGLE_BYTE = re.compile(r"(cp125|cp8|iso-?8859|koi8|mac_)", re.IGNORECASE)
_TEXT_CONTROLS = frozenset(b"\t\n\r\f\x1b\x08")
_FIRST_PRINTABLE = 0x20
_PROBE_BYTES = 65536
_BINARY_SHARE = 0.01
_DAMAGED_SHARE = 0.1
_FEW_ZEROS = 0.05
_CONTROLS = re.compile("[\x00-\x08\x0e-\x1a\x1c-\x1f]")
# The escapes by which ISO-2022-JP switches to Japanese.
_JAPANESE_ESCAPES = (b"\x1b$B", b"\x1b$@")
_NOT_TEXT = f"This type of file is not read. Send {READ_FORMATS}."


@dataclass(frozen=True, slots=True)
class Decoded:
    """Text, the codec that decoded it, and how many places were damaged and became U+FFFD."""

    text: str
    encoding: str
    damaged: int = 0


def decode(data: bytes, *, declared: str | None = None) -> str:
    """The cleaned text of `data`; see `decode_bytes`."""
    return decode_bytes(data, declared=declared).text


def decode_bytes(data: bytes, *, declared: str | None = None) -> Decoded:
    """The text of `data`. `declared` is the encoding that is declared outside the file, as in the header of a mail.

    Raises `UnreadableDocument`: no text at all, or text of an unknown encoding.
    """
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            text = data.decode(encoding, errors="replace")
            return Decoded(clean(text), encoding, text.count("\ufffd"))
    if wide := _wide(data):
        return wide
    _refuse_binary(data)
    own = _declared_inside(data) or (declared or "").strip().lower()
    named = _codec(own)
    # UTF-8 with more than ASCII in it is hardly ever anything else; many pages declare a single-byte encoding wrongly.
    order = ["utf-8", named] if named is None or _SINGLE_BYTE.match(named) else [named, "utf-8"]
    if any(escape in data for escape in _JAPANESE_ESCAPES):
        order.insert(0, "iso2022_jp_ext")
    for codec in order:
        if codec is not None and (read := _strictly(data, codec)) is not None:
            return Decoded(clean(read), codec)
    if damaged := _damaged_utf8(data):
        return damaged
    guessed = guess(data)
    if guessed is None:
        raise unknown_encoding()
    text = data.decode(guessed, errors="replace")
    illegible = text.count("\ufffd")
    if illegible > _BINARY_SHARE * len(text):
        # The rest of the file is not like its start.
        raise unknown_encoding()
    return Decoded(clean(text), guessed, illegible)


def unknown_encoding() -> UnreadableDocument:
    """The refusal of text of an unknown encoding."""
    return UnreadableDocument(
        "The character encoding of this file cannot be told. Save it as UTF-8 and send it again.", code=ENCODING
    )


def codec_of(label: str) -> str | None:
    """The codec behind a declared name; None for one that is not known."""
    return _codec(label.strip().lower())


def _strictly(data: bytes, encoding: str) -> str | None:
    try:
        return data.decode(encoding)
    except (UnicodeDecodeError, LookupError):
        pass
    if encoding == "utf-8":
        try:
            # Java and Windows write lone surrogates; they are dropped from the text.
            return data.decode("utf-8", "surrogatepass")
        except UnicodeDecodeError:
            return None
    return None


def _declared_inside(data: bytes) -> str:
    head = _COMMENT.sub(b"", data[:_PRESCAN_BYTES])
    if not head.lstrip().startswith(b"<"):
        return ""
    found = _META.search(head) or _XML.match(head.lstrip())
    return found.group(1).decode("ascii", "ignore").lower() if found else ""


def _codec(label: str) -> str | None:
    if not label:
        return None
    name = _WEB_NAMES.get(label, label)
    try:
        found = codecs.lookup(name)
    except LookupError:
        return None
    return name if found._is_text_encoding else None  # noqa: SLF001 - hex, rot13 and zip are codecs too


def _wide(data: bytes) -> Decoded | None:
    """UTF-16 without its mark: pairs of bytes of which mostly the same half is zero, or whose text is of one script."""
    if len(data) % 2:
        return None
    probe = data[:_PROBE_BYTES]
    low, high = probe[::2].count(0), probe[1::2].count(0)
    encoding: str | None = "utf-16-le" if high > low else "utf-16-be"
    if low + high <= _FEW_ZEROS * len(probe):
        encoding = guess_wide(data) if low + high or _strictly(data, "utf-8") is None else None
    elif min(low, high) * 20 > max(low, high):
        return None
    text = None if encoding is None else _strictly(data, encoding)
    if text is None or encoding is None or _CONTROLS.search(text, 0, _PROBE_BYTES):
        return None
    return Decoded(clean(text), encoding)


def _refuse_binary(data: bytes) -> None:
    probe = data[:_PROBE_BYTES]
    strange = sum(byte < _FIRST_PRINTABLE and byte not in _TEXT_CONTROLS for byte in probe)
    if strange > _BINARY_SHARE * len(probe):
        raise UnreadableDocument(_NOT_TEXT, code=UNSUPPORTED)


def _damaged_utf8(data: bytes) -> Decoded | None:
    """UTF-8 of which a few bytes are damaged; None when it is not UTF-8. Raises when two encodings are mixed."""
    text = data.decode("utf-8", errors="replace")
    damaged = text.count("\ufffd")
    whole = sum(character > "\x7f" for character in text) - damaged
    if whole and damaged <= _DAMAGED_SHARE * whole:
        return Decoded(clean(text), "utf-8", damaged)
    return None
