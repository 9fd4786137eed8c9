"""Nothing that a job carries stands on disk outside Postgres and the blob store (row 17): every capability, every pool.

While a job runs, a copy may stand in the private folder of its process (`core.kit.scratch`); not after it, and not
after the process was killed and another was started.
"""

import hashlib
import io
import os
import stat
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from fpdf import FPDF

from core.files.service import FileService
from core.jobs.states import JobState
from core.kit.blob import open_blob_store
from core.kit.ids import FILE, KNOWLEDGE_BASE, encode
from core.kit.settings import Settings
from core.knowledge.service import KnowledgeService
from pipelines.capabilities import CAPABILITIES
from tests.factories.disk import files_below, holding, watching
from tests.factories.jobs import Tenant, new_tenant
from tests.factories.knowledge import upload
from tests.factories.processes import dispatcher, worker
from tests.factories.sample_system import attached
from tests.factories.waiting import wait_until

pytestmark = [pytest.mark.heavy, pytest.mark.xdist_group("crews"), pytest.mark.timeout(600)]

WORD = "Quillonwort83127"
FACT = f"A {WORD} is a roll cage of 80 x 72 x 180 cm, for about 45 average parcels."
# Where util-linux's libuuid, on machines with Debian's uuid-runtime, keeps when it last made an id of the time.
_UUID_CLOCK = Path("/var/lib/libuuid/clock.txt")
QUESTION = f"What is a {WORD}?"


class Given:
    """Inputs with the word in them, for every capability of a pool."""

    def __init__(self, settings: Settings, tenant: Tenant) -> None:
        self._settings, self._tenant = settings, tenant
        self._blobs = open_blob_store(settings)
        self._filled = ""

    def payload(self, capability: str) -> dict[str, Any]:
        """An input; a capability that has none here is to get one, so that what it writes is watched."""
        makers: dict[str, Callable[[], dict[str, Any]]] = {
            "knowledge.ingest": lambda: {"knowledge_base": self.base()},
            "knowledge.search": lambda: {"knowledge_base": self._filled, "query": QUESTION},
            "customer_operations.resolve": lambda: {
                "message": f"Where is VH-300002? {WORD}",
                "customer": {"email": f"{WORD}@example.com"},
            },
            "multimodal.understand": lambda: {"files": [self._file()], "question": QUESTION},
            "research.report": lambda: {"question": QUESTION, "knowledge_bases": [self._filled]},
            "models.chat": lambda: {
                "model": "default",
                "messages": [{"role": "user", "content": f"{FACT}\n\n{QUESTION}"}],
            },
            "models.embed": lambda: {"model": "default", "texts": [FACT]},
        }
        return makers[capability]()

    def base(self) -> str:
        """A knowledge base with two documents; the first is what searches look through, once it is ingested."""
        tenant, knowledge = self._tenant, KnowledgeService()
        with tenant.database.tenant(tenant.principal.organization_id) as session:
            base = knowledge.create_base(session, tenant.principal, f"base {os.urandom(4).hex()}")
        for name, data in ((f"{WORD}.md", FACT.encode()), (f"{WORD}.pdf", pdf())):
            upload(tenant.database, tenant.principal, base, self._blobs, name=name, data=data)
        self._filled = self._filled or encode(KNOWLEDGE_BASE, base.id)
        return encode(KNOWLEDGE_BASE, base.id)

    def _file(self) -> str:
        files, tenant, content = FileService(self._settings, self._blobs), self._tenant, pdf()
        with tenant.database.tenant(tenant.principal.organization_id) as session:
            file_id, _, kind = files.store(tenant.principal.project_id, io.BytesIO(content), "application/pdf")
            sha256 = hashlib.sha256(content).hexdigest()
            size = len(content)
            files.register(
                session, tenant.principal, file_id, name="w.pdf", content_type=kind, size_bytes=size, sha256=sha256
            )
        return encode(FILE, file_id)


def pdf() -> bytes:
    """A page that says the word, in a file whose bytes do."""
    page = FPDF()
    page.set_compression(compress=False)
    page.add_page()
    page.set_font("helvetica", size=12)
    page.multi_cell(0, text=FACT)
    made = bytes(page.output())
    assert WORD.encode() in made
    return made


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """With a lease that a busy machine does not lose."""
    return settings.model_copy(update={"lease_seconds": 20.0})


@pytest.fixture
def tenant(settings: Settings) -> Iterator[Tenant]:
    tenant = new_tenant(settings)
    yield tenant
    tenant.close()


@pytest.fixture
def machine(settings: Settings, postgres_url: str, tmp_path: Path) -> Iterator[dict[str, str]]:
    """A dispatcher, and the environment of a worker: temporary and home folders of its own, and tools."""
    folders = {name: tmp_path / f"its-{name.lower()}" for name in ("TMPDIR", "HOME")}
    for folder in folders.values():
        folder.mkdir()
    with attached(postgres_url, tmp_path) as system, dispatcher(settings):
        tools = {
            "WAYBILL_TOOL_SERVERS_FILE": str(system.settings.tool_servers_file),
            "WAYBILL_SECRETS_DIR": str(system.settings.secrets_dir),
        }
        yield {**tools, **{name: str(folder) for name, folder in folders.items()}}


@pytest.mark.parametrize("pool", sorted({manifest.pool for manifest in CAPABILITIES}))
def test_row_17_no_pool_leaves_what_a_job_carries_on_disk(
    pool: str, settings: Settings, tenant: Tenant, machine: dict[str, str]
) -> None:
    temporary, home = Path(machine["TMPDIR"]), Path(machine["HOME"])
    private = temporary / f"waybill-{os.getuid()}"
    # An agent needs a bound model that calls tools.
    capabilities = [manifest.id for manifest in CAPABILITIES if manifest.pool == pool and manifest.id != "agent.run"]
    given = Given(settings, tenant)
    with ExitStack() as stack:
        if pool in {"knowledge", "research"}:
            with ExitStack() as ingesting:
                ingesting.enter_context(worker(settings, "knowledge", 2))
                ended(tenant, tenant.submit_input("knowledge.ingest", {"knowledge_base": given.base()}))
                if pool == "research":
                    stack.enter_context(ingesting.pop_all())

        def submit() -> list[UUID]:
            return [tenant.submit_input(capability, given.payload(capability)) for capability in capabilities]

        # Logs stand there, too.
        watched = [temporary, home, settings.home, Path("/dev/shm"), Path("/var/tmp")]
        with worker(settings, pool, 2, **machine) as first:
            with watching(WORD.encode(), first.pid, watched, allowed=(settings.blob_folder, private)) as seen:
                ended(tenant, *submit())
            assert strays(holding(WORD.encode(), watched), settings) == set()
        assert seen.found == set()
        assert strays(seen.written, settings, private, first.log) == set()
        assert not private.exists() or stat.S_IMODE(private.stat().st_mode) == 0o700
        assert set(files_below([temporary, home])) == set()

        with worker(settings, pool, 2, **machine) as killed:
            jobs = [job_id for _ in range(2) for job_id in submit()]
            wait_until(
                lambda: any(tenant.job(each).state is JobState.RUNNING for each in jobs),
                timeout_seconds=90,
                what="a run",
            )
            killed.kill()
            assert tenant.open_jobs(jobs) > 0
            left = set(files_below([temporary, home]))
        with worker(settings, pool, 2, **machine):
            assert left & set(files_below([temporary, home])) == set()
            ended(tenant, *jobs)
        assert set(files_below([temporary, home])) == set()
        assert strays(holding(WORD.encode(), watched), settings) == set()


def ended(tenant: Tenant, *jobs: UUID) -> None:
    """Wait until all have succeeded."""
    found = tenant.wait(*jobs, timeout_seconds=240)
    assert [(job.state, job.error) for job in found] == [(JobState.SUCCEEDED, None)] * len(jobs)


def strays(paths: Iterable[Path], settings: Settings, *allowed: Path) -> set[Path]:
    """The paths that are neither in the blob store nor below what is allowed."""
    below = (settings.blob_folder, *allowed, _UUID_CLOCK)
    return {path for path in paths if not any(path.is_relative_to(each) for each in below)}


LEAVES = """
import sys, time
from pathlib import Path
with Path(sys.argv[1]).open("w") as file:
    file.write(sys.argv[2])
    file.flush()
    print("written", flush=True)
    sys.stdin.read()
Path(sys.argv[1]).unlink()
"""


def test_row_17_the_watch_sees_a_file_that_is_gone_afterwards(tmp_path: Path) -> None:
    left = tmp_path / "left"
    with subprocess.Popen(
        [sys.executable, "-c", LEAVES, str(left), WORD], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        with watching(WORD.encode(), process.pid, [tmp_path]) as seen:
            assert process.stdout.readline() == "written\n"
            wait_until(lambda: left in seen.found & seen.written, timeout_seconds=30, what="the file to be seen")
            process.communicate("")
    assert set(files_below([tmp_path])) == set()
