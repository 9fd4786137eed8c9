"""``GET /v1/jobs/{job_id}/tree``: a job and all its descendants."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import Path, Request, Response
from pydantic import BaseModel, Field

from api.answers import parse_id, respond_json
from api.openapi import problems
from api.routing import new_router, requires
from api.work import read
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
    parent_id: str | None = Field(description="The parent job. Null for the root.")
    key: str | None = Field(description="The name under which the parent called it.")
    depth: int = Field(description="0 for the root.")
    capability: str
    state: JobState
    reason: str | None
    cost_usd: str | None = Field(
        description="Cost of this job without its descendants. Null when no part of it is known."
    )
    priced: bool = Field(
        description="Whether every model call had a price. If false, the actual cost is higher than shown."
    )
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None


class JobTree(BaseModel):
    """A job and all its descendants: parents before children, siblings in the order in which they were called."""

    job_id: str
    total_cost_usd: str | None = Field(description="The known cost. Null when no part of it is known.")
    total_priced: bool = Field(description="Whether the cost of every job in the tree is complete.")
    jobs: list[TreeNode]


@router.get(
    "/{job_id}/tree",
    response_model=JobTree,
    summary="Read a job's tree",
    description="Returns the job with all its descendants.",
    responses={200: {"description": "The job tree."}, **problems(404)},
)
@requires("jobs:read")
async def read_tree(request: Request, job_id: JobId) -> Response:
    """Read a job's tree."""
    found = parse_id(JOB, job_id, "job")
    nodes = await read(request, children.tree, found)
    priced = all(node.is_priced for node in nodes)
    total_usd = sum((node.cost_usd for node in nodes), start=ZERO)
    shown = {
        "job_id": job_id,
        "total_cost_usd": format_cost(total_usd, priced=priced),
        "total_priced": priced,
        "jobs": [_node(node) for node in nodes],
    }
    return respond_json(shown)


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
