"""Marks in files, read back with what others read them with."""

from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
import yaml
from fpdf import FPDF
from PIL import Image
from pypdf import PdfReader

from core.guard.disclosure import SOURCE_TYPE, Mark
from core.kit.clock import utc_now
from core.kit.ids import new_id
from workers.marks import marked

MARK = Mark(new_id(), utc_now(), "provider/writer", "2026-01")


def _picture(kind: str, **options: Any) -> bytes:
    sink = BytesIO()
    Image.effect_noise((60, 40), 30).convert("RGB").save(sink, kind, **options)
    return sink.getvalue()


def _document(*, existing: str | None = None) -> bytes:
    page = FPDF()
    page.set_title("What was found")
    if existing:
        page.set_xmp_metadata(existing)
    page.add_page()
    page.set_font("helvetica", size=12)
    page.cell(0, 10, "One page.")
    return bytes(page.output())


def test_markdown_gets_front_matter_and_keeps_its_own() -> None:
    result = marked(b"# Title\n\ntext\n", "text/markdown; charset=utf-8", MARK)
    assert isinstance(result, bytes)
    _, matter, body = result.decode().split("---\n", 2)
    assert yaml.safe_load(matter) == MARK.plain()
    assert body == "\n# Title\n\ntext\n"
    own = marked(b"---\ntitle: Ours\n---\ntext\n", "text/markdown", MARK)
    assert isinstance(own, bytes)
    _, matter, body = own.decode().split("---\n", 2)
    assert yaml.safe_load(matter) == {**MARK.plain(), "title": "Ours"}
    assert body == "text\n"
    # A rule at the beginning of a text is no front matter.
    ruled = marked(b"---\ntext\n", "text/markdown", MARK)
    assert isinstance(ruled, bytes)
    assert ruled.endswith(b"---\n\n---\ntext\n")


@pytest.mark.parametrize(("kind", "key"), [("PNG", "XML:com.adobe.xmp"), ("JPEG", "xmp")])
def test_a_picture_carries_xmp_and_every_pixel_stays(kind: str, key: str) -> None:
    content = _picture(kind)
    result = marked(content, f"image/{kind.lower()}", MARK)
    assert isinstance(result, bytes)
    with Image.open(BytesIO(result)) as now, Image.open(BytesIO(content)) as before:
        assert SOURCE_TYPE in str(now.info[key])
        described = now.getxmp()["xmpmeta"]["RDF"]["Description"]
        assert (described["AISystemUsed"], described["Identifier"]) == ("provider/writer", MARK.plain()["job_id"])
        assert now.tobytes() == before.tobytes()
    with Image.open(BytesIO(result)) as whole:
        whole.verify()
    again = marked(result, f"image/{kind.lower()}", Mark(new_id(), utc_now(), "second"))
    assert isinstance(again, bytes)
    with Image.open(BytesIO(again)) as twice:
        assert [each["AISystemUsed"] for each in twice.getxmp()["xmpmeta"]["RDF"]["Description"]] == [
            "provider/writer",
            "second",
        ]


def test_a_pdf_carries_xmp_beside_its_own() -> None:
    result = marked(_document(), "application/pdf", MARK)
    assert isinstance(result, bytes)
    reader = PdfReader(BytesIO(result), strict=True)
    assert reader.xmp_metadata is not None
    shown = reader.xmp_metadata.stream.get_data().decode()
    assert SOURCE_TYPE in shown
    assert reader.xmp_metadata.xmp_creator_tool == "Waybill"
    assert MARK.plain()["job_id"] in shown
    assert reader.metadata is not None
    assert (reader.metadata.title, reader.pages[0].extract_text().strip()) == ("What was found", "One page.")
    theirs = (
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        '<rdf:Description rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/" dc:source="theirs"/>'
        "</rdf:RDF></x:xmpmeta>"
    )
    both = marked(_document(existing=theirs), "application/pdf", MARK)
    assert isinstance(both, bytes)
    found = PdfReader(BytesIO(both)).xmp_metadata
    assert found is not None
    assert (found.dc_source, found.xmp_creator_tool) == ("theirs", "Waybill")


@pytest.mark.parametrize(
    ("content", "content_type"),
    [
        (b"a,b\n1,2\n", "text/csv"),
        (b"\x89PNG", "image/png"),
        (b"\x89PNG\r\n\x1a\n\xff\xff\xff\xff", "image/png"),
        (b"\xff\xd8\xff\xe1\x00", "image/jpeg"),
        (b"GIF89a", "image/jpeg"),
        (b"%PDF-1.7 and nothing else", "application/pdf"),
        (b"", "application/pdf"),
    ],
)
def test_what_has_no_place_for_a_mark_stays_as_it_is(content: bytes, content_type: str, tmp_path: Path) -> None:
    assert marked(content, content_type, MARK) == content
    file = tmp_path / "file"
    file.write_bytes(content)
    assert marked(file, content_type, MARK) in {file, content}
