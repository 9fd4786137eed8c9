"""Through a real dispatcher and a real worker, which is killed after the first pages were read."""

import hashlib
from pathlib import Path

import psutil
from PIL import Image

from core.files.service import FileService
from core.jobs.live import LivePublisher
from core.jobs.records import NewJob
from core.jobs.service import queued_event
from core.jobs.states import JobState, Priority
from core.kit.blob import open_blob_store
from core.kit.ids import FILE, encode
from core.kit.redis import connect
from core.kit.settings import Settings
from pipelines.multimodal.schemas import UnderstandOutput
from tests.factories.jobs import new_tenant
from tests.factories.processes import dispatcher, worker
from tests.factories.waiting import wait_until

SAMPLES = Path(__file__).parents[3] / "docs" / "examples" / "multimodal"


def is_running(process: psutil.Process) -> bool:
    """Whether it has not ended; a zombie has."""
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE


def test_a_killed_worker_loses_no_page_that_was_read(settings: Settings, tmp_path: Path) -> None:
    # Recognition keeps the machine busy: a lease as short as other tests have would be lost besides.
    settings = settings.model_copy(update={"lease_seconds": 10.0})
    tenant, files, path = new_tenant(settings), FileService(settings, open_blob_store(settings)), tmp_path / "scan.pdf"
    with Image.open(SAMPLES / "receipt.png") as receipt:
        page = receipt.convert("RGB")
    # As scanners do, at the resolution in which a page is read: enlarged, each takes five times as long.
    page.save(path, save_all=True, append_images=[page] * 3, resolution=200)
    with path.open("rb") as opened, tenant.database.tenant(tenant.principal.organization_id) as session:
        digest, size = hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_size
        file_id, _, kind = files.store(tenant.principal.project_id, opened, "application/pdf")
        files.register(
            session, tenant.principal, file_id, name="scan.pdf", content_type=kind, size_bytes=size, sha256=digest
        )
        payload = {"files": [encode(FILE, file_id)], "question": "What is the total?"}
        new = NewJob(capability="multimodal.understand", pool="multimodal", input=payload, priority=Priority("normal"))
        job = tenant.service.submit(session, tenant.principal, new)

    def steps(attempt: int, event: str = "step.finished") -> list[str]:
        events = tenant.events(job.id)
        return [each.data["step"] for each in events if each.type == event and each.attempt == attempt]

    with dispatcher(settings):
        with worker(settings, "multimodal", 1) as first:
            with connect(settings) as redis:
                LivePublisher(redis, settings).publish([queued_event(job)], hint=job.pool)
            # The second batch begins when the first one is stored.
            wait_until(lambda: steps(1, "step.started").count("read") == 2, what="the first pages", timeout_seconds=240)
            children = psutil.Process(first.pid).children()
            known = [child.environ() for child in children]
            first.kill()
        # One opened the file and one read its print; neither knew a secret, and none is left.
        assert children
        secrets = [held.get_secret_value() for held in (settings.secret_key, settings.database_url) if held is not None]
        assert len(secrets) == 2
        assert not [secret for secret in secrets for each in known if secret in str(each)]
        assert [each["ORT_DISABLE_TELEMETRY"] for each in known] == ["1", "1"]
        wait_until(lambda: not any(map(is_running, children)), what="the children to die", timeout_seconds=20)
        with worker(settings, "multimodal", 1):
            ended = tenant.wait(job.id, timeout_seconds=240)[0]

    assert (ended.state, ended.error) == (JobState.SUCCEEDED, None)
    assert steps(1) + steps(2) == ["inspect", "read", "read", "answer", "mark"]
    output = UnderstandOutput.model_validate(tenant.result(job.id))
    assert "19.90" in (output.answer or "")
    assert [part.page for part in output.read] == [1, 2, 3, 4]
    tenant.close()
