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
    ("GET", "/console/overview"): Page("/console/overview", "span=7d"),
    ("GET", "/console/money"): Page("/console/money", "group_by=model,label:team&group_by=key"),
    ("GET", "/console/money/costs.csv"): Page("/console/money/costs.csv", is_html=False),
    ("GET", "/console/money/focus.csv"): Page("/console/money/focus.csv", is_html=False),
    ("GET", "/console/money/budgets"): Page("/console/money/budgets"),
    ("POST", "/console/money/budgets"): Page("/console/money/budgets", fields={"name": "a", "limit_usd": "1"}),
    ("GET", "/console/money/budgets/{budget_id}"): Page("/console/money/budgets/{budget_id}", "limit_usd=0.5"),
    ("POST", "/console/money/budgets/{budget_id}/limit"): Page(
        "/console/money/budgets/{budget_id}/limit", fields={"limit_usd": "1"}
    ),
    ("POST", "/console/money/budgets/{budget_id}/archive"): Page("/console/money/budgets/{budget_id}/archive"),
    ("GET", "/console/money/statement"): Page("/console/money/statement"),
    ("GET", "/console/money/statement.csv"): Page("/console/money/statement.csv", is_html=False),
    ("GET", "/console/money/prices"): Page("/console/money/prices"),
    ("POST", "/console/money/prices"): Page("/console/money/prices"),
    ("GET", "/console/quality"): Page("/console/quality", "span=24h"),
    ("GET", "/console/quality/alerts"): Page("/console/quality/alerts"),
    ("GET", "/console/quality/alerts/{alert_id}"): Page("/console/quality/alerts/{alert_id}"),
    ("POST", "/console/quality/alerts/{alert_id}/acknowledge"): Page("/console/quality/alerts/{alert_id}/acknowledge"),
    ("POST", "/console/quality/alerts/{alert_id}/close"): Page("/console/quality/alerts/{alert_id}/close"),
    ("GET", "/console/quality/labels"): Page("/console/quality/labels"),
    ("POST", "/console/quality/labels"): Page("/console/quality/labels"),
    ("GET", "/console/quality/labels/{job_id}"): Page("/console/quality/labels/{case_id}"),
    ("POST", "/console/quality/labels/{job_id}"): Page("/console/quality/labels/{case_id}", fields={"verdict": "good"}),
    ("GET", "/console/quality/runs"): Page("/console/quality/runs"),
    ("GET", "/console/quality/experiments"): Page("/console/quality/experiments"),
    ("GET", "/console/quality/experiments/{experiment_id}"): Page("/console/quality/experiments/{experiment_id}"),
    ("POST", "/console/quality/experiments/{experiment_id}/start"): Page(
        "/console/quality/experiments/{experiment_id}/start"
    ),
    ("POST", "/console/quality/experiments/{experiment_id}/pause"): Page(
        "/console/quality/experiments/{experiment_id}/pause"
    ),
    ("POST", "/console/quality/experiments/{experiment_id}/stop"): Page(
        "/console/quality/experiments/{experiment_id}/stop"
    ),
    ("POST", "/console/quality/experiments/{experiment_id}/rollback"): Page(
        "/console/quality/experiments/{experiment_id}/rollback"
    ),
    ("POST", "/console/quality/experiments/{experiment_id}/promote"): Page(
        "/console/quality/experiments/{experiment_id}/promote", fields={"arm": "as it is"}
    ),
    ("POST", "/console/sign-out"): Page("/console/sign-out"),
}


def address(page: Page, things: dict[str, str]) -> str:
    path = page.path.format(**things)
    return f"{path}?{page.query.format(**things)}" if page.query else path
