"""Refusals of files."""

from core.kit.errors import Conflict, NotFound, Unprocessable


class FileNotFound(NotFound):
    """No such file in the project."""

    default_code = "file_not_found"


class UploadNotFound(NotFound):
    """No such upload in the project; one that nobody continued for a day is gone."""

    default_code = "upload_not_found"


class OffsetMismatch(Conflict):
    """The part does not begin where the last one ended; ``offset`` says where that is."""

    default_code = "upload_offset_mismatch"


class UploadIncomplete(Conflict):
    """Bytes are missing."""

    default_code = "upload_incomplete"


class DigestMismatch(Unprocessable):
    """What came is not what was announced."""

    default_code = "digest_mismatch"
