import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from waybill.client.sse import Decoder, ServerSentEvent


def decode(body: bytes) -> list[ServerSentEvent]:
    return list(Decoder().feed(body))


def test_an_event_has_its_type_its_data_and_its_id() -> None:
    assert decode(b'id: 7\nevent: job.started\ndata: {"a":1}\n\n') == [ServerSentEvent("job.started", '{"a":1}', "7")]


def test_comments_and_unknown_fields_are_passed_over() -> None:
    assert decode(b": keep-alive\n\nfoo: bar\ndata: x\n\n") == [ServerSentEvent("message", "x", "")]


def test_several_data_lines_are_joined_with_newlines() -> None:
    assert decode(b"data: a\ndata:\ndata:  b\n\n")[0].data == "a\n\n b"


def test_the_id_stays_until_another_one_comes() -> None:
    assert [event.id for event in decode(b"id: 3\ndata: a\n\ndata: b\n\n")] == ["3", "3"]


def test_an_id_with_a_nul_is_ignored() -> None:
    assert decode(b"id: 1\ndata: a\n\nid: 2\x003\ndata: b\n\n")[1].id == "1"


def test_a_line_separator_inside_json_does_not_cut_the_event() -> None:
    body = json.dumps({"text": "one\u2028two\x85three\x0bfour"}, ensure_ascii=False)
    assert decode(f"data: {body}\n\n".encode())[0].data == body


def test_what_the_end_cuts_off_is_dropped() -> None:
    assert decode(b"data: a\n\ndata: b\n") == [ServerSentEvent("message", "a", "")]


def test_retry_is_read_in_milliseconds_and_nonsense_ignored() -> None:
    decoder = Decoder()
    list(decoder.feed(b"retry: 1500\nretry: soon\n\n"))
    assert decoder.retry_seconds == 1.5


def test_a_byte_order_mark_is_not_part_of_the_first_field() -> None:
    assert decode(b"\xef\xbb\xbfdata: a\n\n")[0].data == "a"


@pytest.mark.parametrize("ending", [b"\n", b"\r", b"\r\n"])
@given(data=st.data())
def test_the_slicing_of_bytes_changes_nothing(ending: bytes, data: st.DataObject) -> None:
    texts = data.draw(
        st.lists(
            st.text(alphabet=st.characters(exclude_characters="\r\n", exclude_categories=["Cs"]), min_size=1),
            max_size=5,
        )
    )
    body = b"".join(f"id: {number}\ndata: {text}\n\n".encode() for number, text in enumerate(texts, 1))
    body = body.replace(b"\n", ending) + b": end" + ending
    cuts = sorted(data.draw(st.lists(st.integers(0, len(body)), max_size=8)))
    decoder = Decoder()
    parts = [body[start:end] for start, end in zip([0, *cuts], [*cuts, len(body)], strict=True)]
    found = list(decoder.decode(parts))
    assert [(event.id, event.data) for event in found] == [(str(n), text) for n, text in enumerate(texts, 1)]
