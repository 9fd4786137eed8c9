"""Labels of jobs in queries."""

from fastapi import Request

from api.jobs.schemas import METADATA_MAX
from api.problem import invalid


def metadata_filter(request: Request) -> dict[str, str]:
    """Labels that the query asks for, as `metadata[name]=value` or `metadata.name=value`; raises `Unprocessable`."""
    found: dict[str, str] = {}
    for name, value in request.query_params.multi_items():
        if name.startswith("metadata[") and name.endswith("]"):
            found[name[len("metadata[") : -1]] = value
        elif name.startswith("metadata."):
            found[name[len("metadata.") :]] = value
    if len(found) > METADATA_MAX or "" in found:
        raise invalid(
            [
                {
                    "path": "query.metadata",
                    "code": "invalid_filter",
                    "message": f"write metadata[name]=value, with at most {METADATA_MAX} names",
                }
            ]
        )
    return found
