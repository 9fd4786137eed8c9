"""Listings as tables."""

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING

from waybill.client.models import Capability, Document, JobRecord, Key, KnowledgeBase, Member, Project, TreeNode

if TYPE_CHECKING:
    from rich.table import Table

STATE_STYLES = {
    "queued": "yellow",
    "running": "cyan",
    "waiting": "magenta",
    "succeeded": "green",
    "failed": "red",
    "cancelled": "dim",
    "expired": "red",
    "rejected": "red",
}


def table(*columns: str) -> "Table":
    """A table without borders, so that its lines can be cut and searched."""
    from rich.table import Table

    made = Table(box=None, padding=(0, 2, 0, 0), header_style="bold", show_edge=False)
    for name in columns:
        made.add_column(name, overflow="fold")
    return made


def jobs_table(jobs: Iterable[JobRecord], *, with_projects: bool = False) -> "Table":
    """One line a job."""
    from rich.text import Text

    made = table("JOB", *(["PROJECT"] if with_projects else []), "CAPABILITY", "STATE", "CREATED", "TOOK", "COST USD")
    for job in jobs:
        state = Text(
            job.state if job.reason is None else f"{job.state} ({job.reason})", STATE_STYLES.get(job.state, "")
        )
        cost = _cost(job.cost_usd, priced=job.priced)
        project = [job.project_id] if with_projects else []
        made.add_row(job.id, *project, job.capability, state, moment(job.created_at), took(job), cost)
    return made


def tree_table(jobs: Iterable[TreeNode]) -> "Table":
    """One line a job, indented by its depth."""
    from rich.text import Text

    made = table("JOB", "KEY", "CAPABILITY", "STATE", "COST USD")
    for job in jobs:
        state = job.state if job.reason is None else f"{job.state} ({job.reason})"
        cost = _cost(job.cost_usd, priced=job.priced)
        name = "  " * job.depth + job.id
        made.add_row(name, job.key or "", job.capability, Text(state, STATE_STYLES.get(job.state, "")), cost)
    return made


def capabilities_table(capabilities: Iterable[Capability]) -> "Table":
    """One line a capability."""
    made = table("CAPABILITY", "VERSION", "DESCRIPTION")
    for capability in capabilities:
        made.add_row(capability.id, capability.version, capability.title or capability.description)
    return made


def bases_table(bases: Iterable[KnowledgeBase]) -> "Table":
    """One line a knowledge base."""
    made = table("ID", "NAME", "PASSAGES", "CREATED", "DESCRIPTION")
    for base in bases:
        made.add_row(base.id, base.name, str(base.chunk_count), moment(base.created_at), base.description)
    return made


def documents_table(documents: Iterable[Document]) -> "Table":
    """One line a document."""
    from rich.text import Text

    made = table("DOCUMENT", "STATE", "SIZE", "PAGES", "PASSAGES", "REASON")
    for document in documents:
        state = Text(document.state, {"ready": "green", "failed": "red"}.get(document.state, "yellow"))
        pages = "" if document.page_count is None else str(document.page_count)
        reason = document.error.message if document.error else ""
        made.add_row(document.name, state, size(document.size_bytes), pages, str(document.chunk_count), reason)
    return made


def projects_table(projects: Iterable[Project]) -> "Table":
    """One line a project."""
    made = table("PROJECT", "NAME", "COST CENTRE", "OWNER", "LABELS", "ARCHIVED")
    for project in projects:
        labels = " ".join(f"{name}={value}" for name, value in sorted(project.labels.items()))
        cost_centre, owner = project.cost_centre or "", project.owner or ""
        made.add_row(project.id, project.name, cost_centre, owner, labels, moment(project.archived_at))
    return made


def keys_table(keys: Iterable[Key]) -> "Table":
    """One line a key."""
    made = table("KEY", "NAME", "BEGINS", "STATE", "LAST USED", "EXPIRES", "SCOPES")
    for key in keys:
        scopes = " ".join(key.scopes)
        made.add_row(key.id, key.name, key.prefix, key.state, moment(key.last_used_at), moment(key.expires_at), scopes)
    return made


def members_table(members: Iterable[Member]) -> "Table":
    """One line a member."""
    made = table("MEMBER", "ROLE", "SUBJECT", "E-MAIL", "ISSUER")
    for member in members:
        made.add_row(member.id, member.role, member.subject, member.email or "", member.issuer)
    return made


def moment(value: datetime | None) -> str:
    """A time in the reader's own zone, to the second."""
    return value.astimezone().strftime("%Y-%m-%d %H:%M:%S") if value else ""


def took(job: JobRecord) -> str:
    """From creation to the end, or nothing while it runs."""
    if job.finished_at is None:
        return ""
    return f"{(job.finished_at - job.created_at).total_seconds():.2f} s"


def size(size_bytes: int) -> str:
    """A size for a person: ``812 B``, ``35.4 kB``, ``2.1 MB``."""
    if size_bytes < 1000:  # noqa: PLR2004
        return f"{size_bytes} B"
    kilobytes = size_bytes / 1000
    return f"{kilobytes:.1f} kB" if kilobytes < 1000 else f"{kilobytes / 1000:.1f} MB"  # noqa: PLR2004


def _cost(amount: Decimal | None, *, priced: bool) -> str:
    if amount is None:
        return "not priced"
    known = f"{amount:.6f}".rstrip("0").rstrip(".") or "0"
    return known if priced else f"{known} + not priced"
