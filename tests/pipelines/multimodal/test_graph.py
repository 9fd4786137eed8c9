"""The graph with real OCR and real speech recognition, with a scripted model that sees, and across a lost attempt."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from pydantic import SecretStr

from core.capability import LeaseLost
from core.gateway.service import Gateway, open_gateway
from core.kit.errors import CapabilityFailure
from core.kit.settings import Settings
from pipelines._kit.prompts import load_prompt
from pipelines.multimodal.graph import BATCH, build_with
from pipelines.multimodal.schemas import UnderstandInput, UnderstandOutput
from tests.factories.context import RecordingContext
from tests.factories.files import upload
from tests.factories.provider_simulator import Answer, ProviderSimulator

SAMPLES = Path(__file__).parents[3] / "docs" / "examples" / "multimodal"
TOTAL: dict[str, Any] = {
    "type": "object",
    "properties": {"total": {"type": "number"}, "phone": {"type": "string"}},
    "required": ["total"],
}


@pytest.fixture(scope="module")
def gateway() -> Iterator[Gateway]:
    gateway = open_gateway(Settings())
    yield gateway
    gateway.close()


def ask(gateway: Gateway, name: str, ctx: RecordingContext, **asked: Any) -> UnderstandOutput:
    payload = UnderstandInput(files=[upload(ctx, SAMPLES / name)], **asked)
    return build_with(gateway).run(ctx, payload)


def test_a_scanned_page_in_columns_is_answered_with_boxes_in_points(gateway: Gateway) -> None:
    ctx = RecordingContext()
    output = ask(gateway, "bulletin.pdf", ctx, question="When must a claim for damage be filed?")
    assert output.answered
    assert "within fourteen days" in (output.answer or "")
    assert output.model == "local/extractive"
    assert {region.unit for region in output.regions} == {"points"}
    assert output.regions[0].box is not None
    assert output.regions[0].box[0] > 300
    assert sorted(ctx.artifacts) == ["annotated-1-1.png", "text-1.json", "text-1.md", "thumbnail-1-1.jpg"]
    assert ctx.copies == set(ctx.artifacts)
    assert ctx.steps() == ["inspect", "read", "answer", "mark"]


def test_a_receipt_fills_a_schema_and_says_what_it_does_not_hold(gateway: Gateway) -> None:
    output = ask(gateway, "receipt.png", RecordingContext(), fill=TOTAL)
    assert output.data == {"total": 19.9, "phone": None}
    assert output.valid
    assert output.fields["total"].confidence > 0.9
    assert output.fields["total"].regions[0].unit == "pixels"
    assert (output.fields["phone"].confidence, output.fields["phone"].note) == (0, "not found in the files")


def test_speech_is_answered_with_its_time_span(gateway: Gateway) -> None:
    ctx = RecordingContext()
    output = ask(gateway, "message.ogg", ctx, question="When does the parcel arrive?")
    assert "thursday" in (output.answer or "").lower()
    assert output.regions[0].unit == "seconds"
    assert output.regions[0].end is not None
    assert output.artifacts == ["text-1.md", "text-1.json", "text-1.srt", "text-1.vtt"]
    assert output.read[0].text[0].end is not None
    assert output.read[0].text[0].text in ctx.artifacts["text-1.vtt"].decode()


def seeing(server: ProviderSimulator) -> Gateway:
    return open_gateway(Settings(model_base_url=server.base_url, model_api_key=SecretStr("key"), model_name="writer"))


def test_a_model_that_sees_gets_the_picture_and_its_lines_become_regions() -> None:
    said = Answer.of_json({"answered": True, "answer": "It is 19.90.", "lines": [8, 99]})
    ctx = RecordingContext()
    with ProviderSimulator(said) as server:
        gateway = seeing(server)
        output = ask(gateway, "receipt.png", ctx, question="What is the total?")
        gateway.close()
        sent = str(server.requests[0].body)
    assert "data:image/jpeg;base64," in sent
    assert output.answer == "It is 19.90."
    assert output.prompts == {"answer": load_prompt("pipelines.multimodal", "answer").digest}
    assert [region.text for region in output.regions] == ["TOTAL | 19.90"]
    assert len(ctx.usage) == 1


def test_a_models_values_are_trusted_where_they_were_read() -> None:
    said = Answer.of_json({"values": {"total": 19.9, "phone": "555"}, "sources": {"total": [8], "phone": []}})
    with ProviderSimulator(said) as server:
        gateway = seeing(server)
        output = ask(gateway, "receipt.png", RecordingContext(), fill=TOTAL)
        gateway.close()
    assert output.data == {"total": 19.9, "phone": "555"}
    assert output.prompts == {"fill": load_prompt("pipelines.multimodal", "fill").digest}
    assert output.fields["total"].confidence > 0.9
    assert output.fields["phone"].confidence == 0.4


def test_an_answer_that_obeys_no_schema_is_refused() -> None:
    with ProviderSimulator(Answer("no json")) as server:
        gateway = seeing(server)
        with pytest.raises(CapabilityFailure) as refused:
            ask(gateway, "receipt.png", RecordingContext(), question="What is the total?")
        gateway.close()
    assert refused.value.code == "answer_malformed"


def test_the_next_attempt_reads_no_finished_page_and_pays_no_finished_call_again(tmp_path: Path) -> None:
    """The worker is lost after the first batch, and again between the model's answer and the drawing."""
    path = tmp_path / "pages.pdf"
    blank = Image.new("RGB", (200, 200), "white")
    blank.save(path, save_all=True, append_images=[blank] * BATCH)
    said = Answer.of_json({"answered": False, "answer": "Nothing is written there.", "lines": []})
    ctx = RecordingContext()
    payload = UnderstandInput(files=[upload(ctx, path)], question="What is written?")

    def lost_in(step: str, seen: RecordingContext, times: int) -> None:
        started = [data["step"] for data in seen.named("step.started")]
        if started.count(step) == times:
            raise LeaseLost

    with ProviderSimulator(said) as server:
        gateway = seeing(server)
        runner = build_with(gateway)
        ctx.on_check = lambda: lost_in("read", ctx, 2)
        with pytest.raises(LeaseLost):
            runner.run(ctx, payload)
        second = ctx.next_attempt()
        second.on_check = lambda: lost_in("mark", second, 1)
        with pytest.raises(LeaseLost):
            runner.run(second, payload)
        third = second.next_attempt()
        output = runner.run(third, payload)
        gateway.close()
        calls = len(server.requests)
    assert ctx.steps() == ["inspect", "read"]
    assert second.steps() == ["read", "answer"]
    assert third.steps() == ["mark"]
    assert calls == 1
    assert [part.page for part in output.read] == [1, 2, 3]
    assert "".join(third.deltas) == "Nothing is written there."
