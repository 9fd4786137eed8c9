import json
from pathlib import Path

import pytest

from waybill.evals.files import UnreadableData
from waybill.evals.guard.injections import read_samples
from waybill.evals.guard.labels import read_labeled
from waybill.evals.guard.spans import Example, Span

HOW_TO = Path(__file__).parents[3] / "docs/howto/guard.md"
TEXT = "Ann was born on 03/14/1981. The invoice of last spring was paid on 03/15/2024; she lives in Bath."


def span(entity_type: str, value: str, text: str = TEXT) -> dict[str, object]:
    start = text.index(value)
    return {
        "entity_type": entity_type,
        "entity_value": value,
        "start_position": start,
        "end_position": start + len(value),
    }


def sample(*spans: dict[str, object]) -> dict[str, object]:
    return {"full_text": TEXT, "spans": list(spans), "template_id": 7}


def test_samples_of_presidio_get_our_kinds_and_other_types_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "pii.json"
    labels = [
        span("PERSON", "Ann"),
        span("DATE_TIME", "03/14/1981"),
        span("DATE_TIME", "03/15/2024"),
        span("GPE", "Bath"),
        span("tax_id", "paid"),
        span("INJECTION", "lives"),
    ]
    path.write_text(json.dumps([sample(*labels), {"full_text": "Nothing.", "spans": []}], indent=2), encoding="utf-8")
    read = read_labeled(path)
    found = [(each.kind, TEXT[each.start : each.end]) for each in read.examples[0].spans]
    assert found == [("person", "Ann"), ("date_of_birth", "03/14/1981"), ("location", "Bath"), ("tax_id", "paid")]
    assert read.examples[0].group == "7"
    assert read.examples[1].spans == ()
    assert read.left_out == {"DATE_TIME": 1, "INJECTION": 1}


def test_marks_become_spans_at_their_place_in_the_plain_text(tmp_path: Path) -> None:
    path = tmp_path / "personal.jsonl"
    # A line separator of Unicode ends no line of the file.
    rows = [{"group": "g", "text": "a\u2028⟦person|Ann ⟧⟦phone|1|2⟧ b ⟦nick|X⟧"}, {"text": "plain"}]
    path.write_text("\n\n".join(json.dumps(row, ensure_ascii=False) for row in rows), encoding="utf-8-sig")
    read = read_labeled(path)
    assert read.examples[0] == Example("a\u2028Ann 1|2 b X", (Span("person", 2, 6), Span("phone", 6, 9)), "g")
    assert read.examples[1].spans == ()
    assert read.left_out == {"nick": 1}


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("{no json", "personal.jsonl, line 3: "),
        ("[]", "line 3: expected an object"),
        ('{"text": 1}', "line 3: expected full_text and spans, or a text with marks"),
        ('{"text": "a", "spans": []}', "line 3: expected full_text and spans"),
        ('{"full_text": "a"}', "line 3: expected full_text and spans"),
        ('{"full_text": "a", "spans": [{"entity_type": "PERSON"}]}', "line 3: expected spans with entity_type"),
        ('{"text": "⟦person|Ann"}', "line 3: expected each mark as"),
        ('{"text": "⟦Ann⟧"}', "line 3: expected each mark as"),
        ('{"text": "⟦person|⟧"}', "line 3: expected each mark as"),
        ('{"text": "Ann⟧"}', "line 3: a mark ends that did not begin"),
    ],
)
def test_a_line_that_is_no_labeled_text_is_named(tmp_path: Path, line: str, complaint: str) -> None:
    path = tmp_path / "personal.jsonl"
    path.write_text('{"text": "fine"}\n\n' + line + "\n", encoding="utf-8")
    with pytest.raises(UnreadableData, match=complaint):
        read_labeled(path)


@pytest.mark.parametrize(
    ("changed", "complaint"),
    [
        ({"start_position": -1}, "is outside of the text"),
        ({"start_position": 3}, "is outside of the text"),
        ({"end_position": len(TEXT) + 1}, "is outside of the text"),
        ({"start_position": 1, "end_position": 4}, "is not what is there"),
    ],
)
def test_a_span_outside_of_the_text_or_on_another_value_is_named(
    tmp_path: Path, changed: dict[str, int], complaint: str
) -> None:
    path = tmp_path / "personal.json"
    good, bad = sample(span("PERSON", "Ann")), sample({**span("PERSON", "Ann"), **changed})
    path.write_text(f"[\n{json.dumps(good)},\n\n{json.dumps(bad)}\n]", encoding="utf-8")
    with pytest.raises(UnreadableData, match=rf"personal\.json, line 4 \(element 2\): .*{complaint}"):
        read_labeled(path)


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("", "line 1"),
        ('[{"text": "a"},\n{"text" "b"}]', "line 2"),
        ('{"text": "a"}', "expected an array"),
        (' [ \n 1 , {"text": "[,]"} ]', r"line 2 \(element 1\): expected an object"),
        ("[ ]", "holds no texts"),
    ],
)
def test_a_file_that_is_no_array_of_texts_is_named(tmp_path: Path, content: str, complaint: str) -> None:
    path = tmp_path / "personal.json"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(UnreadableData, match=rf"personal\.json.*{complaint}"):
        read_labeled(path)


def test_samples_of_injections_are_attacks_or_harmless(tmp_path: Path) -> None:
    path = tmp_path / "injection.jsonl"
    path.write_text('{"text": "a", "label": 1}\n{"text": "b", "label": 0, "category": "x"}\n', encoding="utf-8")
    assert [(each.text, each.is_attack, each.source) for each in read_samples(path, "s")] == [
        ("a", True, "s"),
        ("b", False, "s"),
    ]


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("label: 1", "line 2: "),
        ('{"text": "a"}', "line 2: expected an object with text and label"),
        ('{"text": null, "label": 1}', "line 2: the text is no string"),
        ('{"text": "a", "label": 2}', "line 2: the label is 2"),
        ('{"text": "a", "label": "1"}', "line 2: the label is '1'"),
        ('{"text": "a", "label": true}', "line 2: the label is True"),
        ('{"text": "a", "label": [0]}', "line 2: the label is "),
    ],
)
def test_a_line_that_is_no_sample_is_named(tmp_path: Path, line: str, complaint: str) -> None:
    path = tmp_path / "injection.jsonl"
    path.write_text('{"text": "fine", "label": 0}\n' + line, encoding="utf-8")
    with pytest.raises(UnreadableData, match=rf"injection\.jsonl, {complaint}"):
        read_samples(path, "s")


def test_a_file_without_samples_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "injection.jsonl"
    path.write_text("\n", encoding="utf-8")
    with pytest.raises(UnreadableData, match="holds no texts"):
        read_samples(path, "s")


def test_the_lines_that_the_how_to_shows_can_be_read(tmp_path: Path) -> None:
    section = HOW_TO.read_text(encoding="utf-8").split("## Measure it on your own texts")[1].split("\n## ")[0]
    marked, generated, injections = (block.split("```")[0] for block in section.split("```json")[1:])
    path = tmp_path / "shown.jsonl"
    path.write_text(marked + generated, encoding="utf-8")
    read = read_labeled(path)
    assert [[each.kind for each in example.spans] for example in read.examples] == [["person", "phone"], [], ["email"]]
    assert not read.left_out
    path.write_text(injections, encoding="utf-8")
    assert [each.is_attack for each in read_samples(path, "shown")] == [True, False]
