"""What was read, as documents of its own."""

import json
from typing import Any

from pipelines.multimodal.texts import documents_of, markdown, srt, vtt
from tests.evals.multimodal.others import lines_of


def spoken(*sentences: tuple[float, float, str]) -> dict[str, Any]:
    lines = [{"text": text, "span": [start, end], "confidence": 0.9, "ends": True} for start, end, text in sentences]
    return {"page": None, "source": "speech", "unit": "seconds", "lines": lines}


def printed(text: str) -> dict[str, Any]:
    return {"page": 1, "source": "ocr", "unit": "pixels", "width": 900.0, "height": 600.0, "lines": lines_of(text)}


def test_a_page_becomes_paragraphs_and_tables_and_its_signs_are_no_markup() -> None:
    written = markdown([printed("Opening *hours*\nItem | Price\nTea | 2.00\nBread | 3.10")])
    assert written == (
        "## Page 1\n\nOpening \\*hours\\*\n\n| Item | Price |\n| --- | --- |\n| Tea | 2.00 |\n| Bread | 3.10 |\n"
    )


def test_json_has_boxes_and_times() -> None:
    documents = documents_of([printed("Tea | 2.00")])
    assert sorted(documents) == ["json", "md"]
    part = json.loads(documents["json"][0])["parts"][0]
    assert (part["unit"], part["lines"][0]["text"]) == ("pixels", "Tea | 2.00")
    assert len(part["lines"][0]["box"]) == 4


def test_subtitles_have_each_its_form_of_time_and_do_not_overlap() -> None:
    part = spoken((0.0, 2.5, "Good morning."), (2.4, 3661.0416, "One --> two & <three>"))
    assert srt([part]) == (
        "1\n00:00:00,000 --> 00:00:02,400\nGood morning.\n\n2\n00:00:02,400 --> 01:01:01,042\nOne → two & <three>\n"
    )
    assert vtt([part]) == (
        "WEBVTT\n\n00:00:00.000 --> 00:00:02.400\nGood morning.\n\n"
        "00:00:02.400 --> 01:01:01.042\nOne → two &amp; &lt;three&gt;\n"
    )
    assert sorted(documents_of([part])) == ["json", "md", "srt", "vtt"]
