"""``/v1/jobs/{id}/artifacts``: the files that a job produced."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import Path, Request, Response
from pydantic import BaseModel, Field

from api.answers import parse_id, respond_json
from api.deps import get_runtime
from api.downloads import send
from api.files.routes import DOWNLOAD
from api.jobs.routes import JobId
from api.openapi import problems
from api.routing import caller, new_router, requires
from core.files.service import NAME_MAX_CHARACTERS
from core.jobs import artifacts
from core.jobs.artifacts import ArtifactRecord
from core.jobs.records import JobRecord
from core.kit.clock import isoformat
from core.kit.data_classes import DataClass
from core.kit.ids import JOB, encode

router = new_router("/v1/jobs/{job_id}/artifacts", "jobs")

Name = Annotated[str, Path(max_length=NAME_MAX_CHARACTERS, description="The artifact's name.", examples=["report.md"])]


class Artifact(BaseModel):
    """A file that a job produced."""

    name: str
    content_type: str
    size_bytes: int
    sha256: str
    data_class: DataClass = Field(description="The data class of its job.")
    attempt: int = Field(description="The attempt that wrote the file.")
    created_at: str
    url: str = Field(description="The download URL. Use the same key.")


class ArtifactList(BaseModel):
    """A job's artifacts, by name."""

    data: list[Artifact]


@router.get(
    "",
    response_model=ArtifactList,
    summary="List a job's artifacts",
    responses={200: {"description": "Lists all artifacts by name. Works while the job runs."}, **problems(404)},
)
@requires("jobs:read")
async def list_artifacts(request: Request, job_id: JobId) -> Response:
    """The artifacts of a job."""
    found = parse_id(JOB, job_id, "job")
    listed = await get_runtime(request).in_thread(_list, request, found)
    return respond_json({"data": listed})


def _list(request: Request, job_id: UUID) -> list[dict[str, Any]]:
    runtime, principal = get_runtime(request), caller(request)
    single = runtime.database.single_tenant(principal.organization_id)
    job = runtime.jobs.open(single, principal, job_id)
    return [_to_wire(job, each) for each in artifacts.list_artifacts(single, principal, job_id)]


@router.get(
    "/{name}",
    response_class=Response,
    summary="Download an artifact",
    description="Downloads the content. `Range` is supported; the `ETag` is the SHA-256 of the file.",
    responses={
        200: {"description": "The content.", "content": DOWNLOAD},
        206: {"description": "The requested range.", "content": DOWNLOAD},
        304: {"description": "Not modified: the client already has it."},
        **problems(404, 416),
    },
)
@requires("jobs:read")
async def download_artifact(request: Request, job_id: JobId, name: Name) -> Response:
    """One artifact's bytes."""
    return await get_runtime(request).in_thread(send_artifact, request, parse_id(JOB, job_id, "job"), name)


def send_artifact(request: Request, job_id: UUID, name: str) -> Response:
    """The file as a download. Blocks. Raises what `JobService.open`, `get_artifact` and `send` raise."""
    runtime, principal = get_runtime(request), caller(request)
    single = runtime.database.single_tenant(principal.organization_id)
    job = runtime.jobs.open(single, principal, job_id)
    found = artifacts.get_artifact(single, principal, job_id, name)
    return send(request, runtime.blobs, found, job.data_class)


def _to_wire(job: JobRecord, artifact: ArtifactRecord) -> dict[str, Any]:
    return {
        "name": artifact.name,
        "content_type": artifact.content_type,
        "size_bytes": artifact.size_bytes,
        "sha256": artifact.sha256,
        "data_class": job.data_class,
        "attempt": artifact.attempt,
        "created_at": isoformat(artifact.created_at),
        "url": f"/v1/jobs/{encode(JOB, job.id)}/artifacts/{artifact.name}",
    }
