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


# By method and the route's path. A POST is sent once, with `fields`, by callers who must be refused.
PAGES: dict[tuple[str, str], Page] = {
    ("GET", "/console"): Page("/console"),
    ("GET", "/console/find"): Page("/console/find", "id={job_id}"),
    ("GET", "/console/projects"): Page("/console/projects"),
    ("POST", "/console/projects"): Page("/console/projects", fields={"project": "{project_id}"}),
    ("GET", "/console/sessions"): Page("/console/sessions"),
    ("POST", "/console/sessions/{session_id}/end"): Page("/console/sessions/{session_id}/end"),
    ("POST", "/console/sign-out"): Page("/console/sign-out"),
}
