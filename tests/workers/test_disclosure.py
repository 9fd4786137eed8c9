"""Who wrote a job's result and files is said beside the result, in its last event and in the files, by policy."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from io import BytesIO
from uuid import UUID

import pytest
import yaml
from fpdf import FPDF
from pypdf import PdfReader

from core.capability import ModelRef, ModelUsage
from core.guard.disclosure import NOTICES, SOURCE_TYPE
from core.guard.policy import Disclosure
from core.jobs import artifacts
from core.kit.blob import open_blob_store
from core.kit.ids import JOB, encode
from core.kit.settings import Settings
from tests.factories.attempts import Attempt, worker_services
from tests.factories.jobs import Tenant


@contextmanager
def running(settings: Settings, job_id: UUID, disclosure: Disclosure | None = None) -> Iterator[Attempt]:
    """An attempt of the job, where the project's policy is `disclosure`."""
    with worker_services(settings) as services:
        found = services if disclosure is None else replace(services, disclosure=lambda *_: disclosure)
        yield Attempt(found, job_id)


def call(driven: Attempt, model: str, *, output_tokens: int) -> None:
    with driven.context.call_model(ModelRef("local", model, "2026-01"), {"output_tokens": 100}) as opened:
        opened.report(ModelUsage(model, {"input_tokens": 5, "output_tokens": output_tokens}))


def stored(settings: Settings, tenant: Tenant, driven: Attempt) -> dict[str, bytes]:
    listed = artifacts.list_artifacts(driven.context.executor, tenant.principal, driven.context.job_id)
    return {each.name: open_blob_store(settings).get(each.blob_key) for each in listed}


def document() -> bytes:
    page = FPDF()
    page.add_page()
    return bytes(page.output())


def test_what_a_model_wrote_is_marked_with_its_name_and_version(settings: Settings, tenant: Tenant) -> None:
    job_id = tenant.submit(capability="models.chat")
    with running(settings, job_id) as driven:
        driven.context.artifact("before.md", b"# None wrote yet", "text/markdown")
        call(driven, "local/probe", output_tokens=7)
        call(driven, "local/embedder", output_tokens=0)
        driven.context.artifact("report.md", b"# One", "text/markdown")
        driven.context.artifact("report.pdf", document(), "application/pdf")
        driven.context.artifact("sent.md", b"# Theirs", "text/markdown", is_copy=True)
        driven.succeed(said="Hello")
        files = stored(settings, tenant, driven)
    mark = tenant.job(job_id).disclosure
    assert mark is not None
    assert mark == {
        "ai_generated": True,
        "generator": "Waybill",
        "job_id": encode(JOB, job_id),
        "model": "local/probe",
        "model_version": "2026-01",
        "generated_at": mark["generated_at"],
        "digital_source_type": SOURCE_TYPE,
    }
    assert tenant.events(job_id)[-1].data["disclosure"] == mark
    assert (files["before.md"], files["sent.md"]) == (b"# None wrote yet", b"# Theirs")
    _, matter, body = files["report.md"].decode().split("---\n", 2)
    assert (yaml.safe_load(matter)["ai_generated"], yaml.safe_load(matter)["model"]) == (True, "local/probe")
    assert body == "\n# One"
    found = PdfReader(BytesIO(files["report.pdf"])).xmp_metadata
    assert found is not None
    assert encode(JOB, job_id).encode() in found.stream.get_data()


@pytest.mark.parametrize(
    "result",
    [
        {"said": "Hello"},
        {"model": "local/extractive", "said": "quoted"},
        # The call that was made came to nothing.
        {"model": None, "said": "Hello"},
    ],
)
def test_what_no_model_wrote_is_not_marked(settings: Settings, tenant: Tenant, result: dict[str, str | None]) -> None:
    job_id = tenant.submit(capability="models.chat")
    with running(settings, job_id) as driven:
        call(driven, "local/probe" if "model" in result else "local/extractive", output_tokens=7)
        driven.succeed(**result)
    assert tenant.job(job_id).disclosure is None
    assert tenant.events(job_id)[-1].data == {"attempt": 1}


def test_an_agent_is_a_machine_without_a_model_too(settings: Settings, tenant: Tenant) -> None:
    job_id = tenant.submit_input("customer_operations.resolve", {"message": "Hello"})
    with running(settings, job_id) as driven:
        reply = driven.context.with_notice("Dear Ms Jones,\n\nthe parcel is on its way to you.")
        assert reply.endswith(f"\n\n{NOTICES['en']}")
        driven.succeed(reply=reply, model=None)
    mark = tenant.job(job_id).disclosure
    assert mark is not None
    assert (mark["ai_generated"], mark["model"]) == (True, None)


def test_what_was_made_before_a_worker_was_lost_counts(settings: Settings, tenant: Tenant) -> None:
    job_id = tenant.submit(capability="models.chat")
    with running(settings, job_id) as driven:
        call(driven, "local/probe", output_tokens=7)
        driven.context.wait_settled()
        driven.requeue()
    with running(settings, job_id) as driven:
        driven.succeed(said="Hello")
    mark = tenant.job(job_id).disclosure
    assert mark is not None
    assert mark["model"] == "local/probe"


def test_a_policy_turns_both_off(settings: Settings, tenant: Tenant) -> None:
    job_id = tenant.submit_input("customer_operations.resolve", {"message": "Hello"})
    with running(settings, job_id, Disclosure(notice=False, marks=False)) as driven:
        assert driven.context.with_notice("Hello.") == "Hello."
        driven.context.artifact("report.md", b"# One", "text/markdown")
        driven.succeed(reply="Hello.")
        assert stored(settings, tenant, driven) == {"report.md": b"# One"}
    assert tenant.job(job_id).disclosure is None
    assert "disclosure" not in tenant.events(job_id)[-1].data
