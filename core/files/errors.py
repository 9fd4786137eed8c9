"""Errors of files."""

from core.kit.errors import Conflict, NotFound, Unprocessable


class FileNotFound(NotFound):
    """No such file in the project."""

    default_code = "file_not_found"


class UploadNotFound(NotFound):
    """No such upload in the project. An upload without activity is deleted after a day."""

    default_code = "upload_not_found"


class OffsetMismatch(Conflict):
    """The part does not start where the last one ended; ``offset`` gives its end."""

    default_code = "upload_offset_mismatch"


class UploadIncomplete(Conflict):
    """Parts are missing."""

    default_code = "upload_incomplete"


class DigestMismatch(Unprocessable):
    """The content does not match the declared digest or size."""

    default_code = "digest_mismatch"
