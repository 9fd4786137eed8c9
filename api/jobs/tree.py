"""``GET /v1/jobs/{job_id}/tree``: a job and all the jobs below it."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import Path, Request, Response
from pydantic import BaseModel, Field

from api.answers import parse_id, respond_json
from api.deps import get_runtime
from api.openapi import problems
from api.routing import caller, new_router, requires
from core.jobs.states import JobState
from core.jobs.suspension import children
from core.jobs.suspension.records import Node
from core.kit.clock import isoformat
from core.kit.ids import JOB, encode
from core.kit.money import ZERO, format_cost

router = new_router("/v1/jobs", "jobs")

JobId = Annotated[str, Path(description="The job's id.", examples=["job_01jd3q8v9tfq8a1b2c3d4e5f6g"])]


class TreeNode(BaseModel):
    """A job of the tree."""

    id: str
    parent_id: str | None = Field(description="The job that called it; null for the one that was asked for.")
    key: str | None = Field(description="The name under which its parent called it.")
    depth: int = Field(description="0 for the job that was asked for.")
    capability: str
    state: JobState
    reason: str | None
    cost_usd: str | None = Field(
        description="What this job itself cost, without those below it; null when nothing of it is known."
    )
    priced: bool = Field(description="Whether each of its model calls had a price; false: it cost more than is known.")
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None


class JobTree(BaseModel):
    """A job and all below it: parents before children, siblings in the order in which they were called."""

    job_id: str
    total_cost_usd: str | None = Field(description="What is known of it; null when nothing is.")
    total_priced: bool = Field(description="Whether every job of the tree is priced.")
    jobs: list[TreeNode]


@router.get(
    "/{job_id}/tree",
    response_model=JobTree,
    summary="Read a job's tree",
    description="The job with its child jobs, and theirs.",
    responses={200: {"description": "The tree."}, **problems(404)},
)
@requires("jobs:read")
async def read_tree(request: Request, job_id: JobId) -> Response:
    """The job and all below it."""
    found = parse_id(JOB, job_id, "job")
    nodes = await get_runtime(request).in_thread(_read, request, found)
    priced = all(node.is_priced for node in nodes)
    total_usd = sum((node.cost_usd for node in nodes), start=ZERO)
    shown = {
        "job_id": job_id,
        "total_cost_usd": format_cost(total_usd, priced=priced),
        "total_priced": priced,
        "jobs": [_node(node) for node in nodes],
    }
    return respond_json(shown)


def _read(request: Request, job_id: UUID) -> list[Node]:
    runtime, principal = get_runtime(request), caller(request)
    return children.tree(runtime.database.single_tenant(principal.organization_id), principal, job_id)


def _node(node: Node) -> dict[str, Any]:
    return {
        "id": encode(JOB, node.id),
        "parent_id": None if node.parent_id is None else encode(JOB, node.parent_id),
        "key": node.key,
        "depth": node.depth,
        "capability": node.capability,
        "state": node.state,
        "reason": node.reason,
        "cost_usd": format_cost(node.cost_usd, priced=node.is_priced),
        "priced": node.is_priced,
        "created_at": isoformat(node.created_at),
        "started_at": None if node.started_at is None else isoformat(node.started_at),
        "finished_at": None if node.finished_at is None else isoformat(node.finished_at),
    }
