"""The reasons why a file cannot be read: one class, one stable code and one plain sentence per reason.

document_empty          nothing in it                     document_encrypted        needs a password
document_corrupt        damaged, or not what it claims    document_no_text          only pictures, or nothing legible
document_unsupported    a type that is not read           document_too_large        too many bytes, pages or characters
document_too_slow       took longer than it may           document_encoding         its encoding is unknown
"""

from core.kit.errors import CapabilityFailure

EMPTY = "document_empty"
CORRUPT = "document_corrupt"
UNSUPPORTED = "document_unsupported"
ENCRYPTED = "document_encrypted"
NO_TEXT = "document_no_text"
TOO_LARGE = "document_too_large"
TOO_SLOW = "document_too_slow"
ENCODING = "document_encoding"


class UnreadableDocument(CapabilityFailure):
    """One file that cannot be read; the other files can. Final: the same bytes fail again."""

    title, default_code = "Document cannot be read", CORRUPT

    def __init__(self, detail: str, *, code: str) -> None:
        super().__init__(detail, code=code, retryable=False)
