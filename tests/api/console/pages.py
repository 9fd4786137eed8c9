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


_DOCUMENT = "/console/knowledge/{base_id}/documents/{document_id}"
_PROJECT = "/console/admin/projects/{project_id}"
_MEMBER = "/console/admin/members/{member_id}"
_DELIVERY = "/console/admin/webhooks/deliveries/{delivery_id}"

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
    ("POST", "/console/jobs/views"): Page("/console/jobs/views", fields={"name": "a", "query": "state=failed"}),
    ("POST", "/console/jobs/views/{view_id}/delete"): Page("/console/jobs/views/{view_id}/delete"),
    ("GET", "/console/jobs/{job_id}"): Page("/console/jobs/{job_id}"),
    ("GET", "/console/jobs/{job_id}/diff"): Page("/console/jobs/{ended_id}/diff", "with={failed_id}"),
    ("GET", "/console/jobs/{job_id}/events"): Page("/console/jobs/{ended_id}/events", is_html=False),
    ("GET", "/console/jobs/{job_id}/waybill"): Page("/console/jobs/{ended_id}/waybill"),
    ("GET", "/console/jobs/{job_id}/artifacts/{name}"): Page("/console/jobs/{job_id}/artifacts/a.txt", is_html=False),
    ("GET", "/console/jobs/{job_id}/artifacts/{name}/text"): Page("/console/jobs/{job_id}/artifacts/a.txt/text"),
    ("POST", "/console/jobs/{job_id}/cancel"): Page("/console/jobs/{job_id}/cancel"),
    ("POST", "/console/jobs/{job_id}/run-again"): Page("/console/jobs/{job_id}/run-again"),
    ("GET", "/console/approvals"): Page("/console/approvals"),
    ("GET", "/console/approvals/{job_id}"): Page("/console/approvals/{asking_id}"),
    ("POST", "/console/approvals/{job_id}"): Page("/console/approvals/{asking_id}", fields={"value": "yes"}),
    ("GET", "/console/knowledge"): Page("/console/knowledge"),
    ("POST", "/console/knowledge"): Page("/console/knowledge", fields={"name": "x"}),
    ("GET", "/console/knowledge/{base_id}"): Page("/console/knowledge/{base_id}"),
    ("POST", "/console/knowledge/{base_id}"): Page("/console/knowledge/{base_id}", fields={"data_class": "public"}),
    ("POST", "/console/knowledge/{base_id}/delete"): Page("/console/knowledge/{base_id}/delete"),
    ("POST", "/console/knowledge/{base_id}/documents"): Page("/console/knowledge/{base_id}/documents", "name=a.txt"),
    ("POST", "/console/knowledge/{base_id}/ingest"): Page("/console/knowledge/{base_id}/ingest"),
    ("POST", "/console/knowledge/{base_id}/search"): Page("/console/knowledge/{base_id}/search", fields={"query": "x"}),
    ("GET", "/console/knowledge/documents/{document_id}"): Page("/console/knowledge/documents/{document_id}"),
    ("GET", "/console/knowledge/{base_id}/documents/{document_id}"): Page(_DOCUMENT),
    ("POST", "/console/knowledge/{base_id}/documents/{document_id}/delete"): Page(f"{_DOCUMENT}/delete"),
    ("GET", "/console/playground"): Page("/console/playground"),
    ("POST", "/console/playground"): Page("/console/playground", fields={"capability": "probe.act"}),
    ("GET", "/console/playground/jobs/{job_id}"): Page("/console/playground/jobs/{ended_id}"),
    ("POST", "/console/playground/quote"): Page("/console/playground/quote", fields={"capability": "probe.act"}),
    ("POST", "/console/playground/samples"): Page("/console/playground/samples"),
    ("POST", "/console/playground/files"): Page("/console/playground/files", "name=a.txt"),
    ("GET", "/console/admin"): Page("/console/admin"),
    ("GET", "/console/admin/projects"): Page("/console/admin/projects"),
    ("POST", "/console/admin/projects"): Page("/console/admin/projects", fields={"name": "x"}),
    ("POST", "/console/admin/projects/{project_id}"): Page(_PROJECT, fields={"name": "x"}),
    ("POST", "/console/admin/projects/{project_id}/archive"): Page(f"{_PROJECT}/archive"),
    ("POST", "/console/admin/projects/{project_id}/restore"): Page(f"{_PROJECT}/restore"),
    ("GET", "/console/admin/members"): Page("/console/admin/members"),
    ("POST", "/console/admin/members"): Page("/console/admin/members", fields={"subject": "x", "role": "owner"}),
    ("POST", "/console/admin/members/{member_id}"): Page(_MEMBER, fields={"role": "owner"}),
    ("POST", "/console/admin/members/{member_id}/remove"): Page(f"{_MEMBER}/remove"),
    ("GET", "/console/admin/keys"): Page("/console/admin/keys"),
    ("POST", "/console/admin/keys"): Page("/console/admin/keys", fields={"name": "x"}),
    ("POST", "/console/admin/keys/{key_id}/rotate"): Page("/console/admin/keys/{key_id}/rotate"),
    ("POST", "/console/admin/keys/{key_id}/revoke"): Page("/console/admin/keys/{key_id}/revoke"),
    ("GET", "/console/admin/limits"): Page("/console/admin/limits"),
    ("POST", "/console/admin/limits"): Page("/console/admin/limits", fields={"kind": "jobs_per_day", "value": "1"}),
    ("POST", "/console/admin/limits/remove"): Page("/console/admin/limits/remove", fields={"kind": "jobs_per_day"}),
    ("GET", "/console/admin/retention"): Page("/console/admin/retention"),
    ("POST", "/console/admin/retention"): Page("/console/admin/retention", fields={"kind": "events", "days": "1"}),
    ("POST", "/console/admin/retention/remove"): Page("/console/admin/retention/remove", fields={"kind": "events"}),
    ("GET", "/console/admin/guard"): Page("/console/admin/guard"),
    ("POST", "/console/admin/guard"): Page("/console/admin/guard", fields={"template": "strict"}),
    ("POST", "/console/admin/guard/try"): Page("/console/admin/guard/try", fields={"text": "x"}),
    ("GET", "/console/admin/webhooks"): Page("/console/admin/webhooks"),
    ("POST", "/console/admin/webhooks"): Page("/console/admin/webhooks", fields={"url": "https://hooks.example/y"}),
    ("GET", "/console/admin/webhooks/deliveries/{delivery_id}"): Page(_DELIVERY),
    ("POST", "/console/admin/webhooks/deliveries/{delivery_id}/redeliver"): Page(f"{_DELIVERY}/redeliver"),
    ("GET", "/console/admin/webhooks/{endpoint_id}"): Page("/console/admin/webhooks/{endpoint_id}"),
    **{
        ("POST", f"/console/admin/webhooks/{{endpoint_id}}/{act}"): Page(
            f"/console/admin/webhooks/{{endpoint_id}}/{act}"
        )
        for act in ("pause", "resume", "test", "remove", "rotate", "redeliver")
    },
    ("GET", "/console/admin/audit"): Page("/console/admin/audit"),
    ("GET", "/console/admin/audit/verify"): Page("/console/admin/audit/verify"),
    ("GET", "/console/admin/audit/{record_id}/proof"): Page("/console/admin/audit/{record_id}/proof"),
    ("GET", "/console/admin/installation"): Page("/console/admin/installation"),
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
