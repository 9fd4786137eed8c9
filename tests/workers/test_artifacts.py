"""What a job leaves behind: fenced by its attempt, listed, downloaded, and gone with its payload."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from core.capability import LeaseLost
from core.files.service import FileService
from core.jobs import artifacts
from core.kit.blob import open_blob_store
from core.kit.errors import CapabilityFailure, Unprocessable
from core.kit.ids import FILE, JOB, encode
from core.kit.settings import Settings
from tests.factories.attempts import Attempt, attempt
from tests.factories.jobs import Tenant, new_tenant


@pytest.fixture
def running(settings: Settings, tenant: Tenant) -> Iterator[Attempt]:
    with attempt(settings, encode(JOB, tenant.submit())) as driven:
        yield driven


def test_an_artifact_is_kept_replaced_and_announced(
    settings: Settings, tenant: Tenant, running: Attempt, tmp_path: Path
) -> None:
    ctx = running.context
    made = ctx.artifact("report.md", b"# One", "text/markdown")
    assert (made.size_bytes, made.sha256) == (5, hashlib.sha256(b"# One").hexdigest())
    file = tmp_path / "second"
    file.write_bytes(b"# Two")
    ctx.artifact("report.md", file, "text/markdown")
    ctx.artifact("a/../thumbnail.png", b"\x89PNG", "image/png")
    with pytest.raises(Unprocessable):
        ctx.artifact("..", b"", "text/plain")
    listed = artifacts.list_artifacts(ctx.executor, tenant.principal, ctx.job_id)
    assert [(each.name, each.size_bytes) for each in listed] == [("report.md", 5), ("thumbnail.png", 4)]
    blobs = open_blob_store(settings)
    assert blobs.get(listed[0].blob_key) == b"# Two"
    assert [event.data["name"] for event in tenant.events(ctx.job_id) if event.type == "artifact.created"] == [
        "report.md",
        "report.md",
        "thumbnail.png",
    ]
    running.succeed(said="")
    assert len(list(blobs.list(f"jobs/{ctx.job_id}/artifacts/"))) == 2


def test_an_attempt_that_lost_its_lease_leaves_nothing(tenant: Tenant, running: Attempt) -> None:
    ctx = running.context
    ctx.artifact("report.md", b"mine", "text/markdown")
    with tenant.database.system() as session:
        session.execute(text("UPDATE jobs SET attempt = attempt + 1 WHERE id = :id"), {"id": ctx.job_id})
    with pytest.raises(LeaseLost):
        ctx.artifact("report.md", b"no longer mine", "text/markdown")
    (kept,) = artifacts.list_artifacts(ctx.executor, tenant.principal, ctx.job_id)
    assert kept.size_bytes == 4


def test_a_file_is_opened_by_jobs_of_its_own_project_only(
    settings: Settings, tenant: Tenant, running: Attempt, tmp_path: Path
) -> None:
    files, content = FileService(settings, open_blob_store(settings)), tmp_path / "content"
    content.write_bytes(b"%PDF-1.7 hello")
    stranger = new_tenant(settings)

    def store(owner: Tenant) -> str:
        with content.open("rb") as opened, owner.database.tenant(owner.principal.organization_id) as session:
            file_id, _, kind = files.store(owner.principal.project_id, opened, "application/octet-stream")
            files.register(
                session, owner.principal, file_id, name="a.pdf", content_type=kind, size_bytes=14, sha256="0" * 64
            )
            return encode(FILE, file_id)

    with running.context.open_file(store(tenant)) as file:
        assert (file.name, file.content_type, file.path.read_bytes()) == ("a.pdf", "application/pdf", b"%PDF-1.7 hello")
        where = file.path
    assert not where.exists()
    for foreign in (store(stranger), "file_nonsense", encode(FILE, running.context.job_id)):
        with pytest.raises(CapabilityFailure, match="no file"), running.context.open_file(foreign):
            pass
    stranger.close()
