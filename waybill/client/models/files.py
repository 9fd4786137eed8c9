"""Files and artifacts."""

from datetime import datetime

from waybill.client.models.base import Resource


class File(Resource):
    """A file that jobs of its project may read by its id."""

    id: str
    name: str
    content_type: str
    size_bytes: int
    sha256: str
    data_class: str = ""
    created_at: datetime
    expires_at: datetime | None = None


class Artifact(Resource):
    """A file that a job left behind."""

    name: str
    content_type: str
    size_bytes: int
    sha256: str
    data_class: str = ""
    attempt: int
    url: str


class FileUpload(Resource):
    """A file on its way, in parts."""

    id: str
    size_bytes: int
    received_bytes: int
