"""Every page of the console that needs a session, with an address to open; `test_pages` fails for one left out."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Page:
    """How a page is opened by someone who may see it. `{name}` in a path or field is an id of the fixture `things`."""

    path: str
    query: str = ""
    fields: dict[str, str] = field(default_factory=dict)
    # What the page shows of another's things with ids: only an address that does not exist.
    absent: int = 404
    # A download or a stream is no page: nothing in it is checked but who gets it.
    is_html: bool = True


# By method and the route's path. A POST is sent once, with `fields`, by callers who must be refused.
PAGES: dict[tuple[str, str], Page] = {
    ("GET", "/console"): Page("/console"),
    ("GET", "/console/find"): Page("/console/find", "id={job_id}"),
    ("GET", "/console/projects"): Page("/console/projects"),
    ("POST", "/console/projects"): Page("/console/projects", fields={"project": "{project_id}"}),
    ("GET", "/console/sessions"): Page("/console/sessions"),
    ("POST", "/console/sessions/{session_id}/end"): Page("/console/sessions/{session_id}/end"),
    ("GET", "/console/jobs"): Page("/console/jobs"),
    ("POST", "/console/jobs/several"): Page("/console/jobs/several", fields={"job": "{job_id}", "act": "cancel"}),
    ("GET", "/console/jobs/{job_id}"): Page("/console/jobs/{job_id}"),
    ("GET", "/console/jobs/{job_id}/events"): Page("/console/jobs/{ended_id}/events", is_html=False),
    ("GET", "/console/jobs/{job_id}/waybill"): Page("/console/jobs/{ended_id}/waybill"),
    ("GET", "/console/jobs/{job_id}/artifacts/{name}"): Page("/console/jobs/{job_id}/artifacts/a.txt", is_html=False),
    ("GET", "/console/jobs/{job_id}/artifacts/{name}/text"): Page("/console/jobs/{job_id}/artifacts/a.txt/text"),
    ("POST", "/console/jobs/{job_id}/cancel"): Page("/console/jobs/{job_id}/cancel"),
    ("POST", "/console/jobs/{job_id}/run-again"): Page("/console/jobs/{job_id}/run-again"),
    ("GET", "/console/approvals"): Page("/console/approvals"),
    ("GET", "/console/approvals/{job_id}"): Page("/console/approvals/{asking_id}"),
    ("POST", "/console/approvals/{job_id}"): Page("/console/approvals/{asking_id}", fields={"value": "yes"}),
    ("POST", "/console/sign-out"): Page("/console/sign-out"),
}


def address(page: Page, things: dict[str, str]) -> str:
    path = page.path.format(**things)
    return f"{path}?{page.query.format(**things)}" if page.query else path
