"""Text sent by a stream when deltas are lost or attempts start over."""

from typing import Any

import pytest

from api.openai.reported import ReportedText, StreamDiverged


def delta(index: int, text: str) -> dict[str, Any]:
    return {"index": index, "text": text}


def test_every_delta_is_sent_once() -> None:
    text = ReportedText()
    assert [text.add(1, delta(0, "One")), text.add(1, delta(1, " two"))] == ["One", " two"]
    assert text.complete("One two") == ""


def test_what_was_lost_is_made_good_for_at_the_end() -> None:
    text = ReportedText()
    assert text.add(1, delta(0, "One")) == "One"
    assert text.add(1, delta(2, " three")) == ""
    assert text.add(1, delta(3, " four")) == ""
    assert text.complete("One two three four") == " two three four"


def test_an_attempt_that_says_the_same_again_goes_on_where_the_first_one_ended() -> None:
    text = ReportedText()
    text.add(1, delta(0, "One two"))
    assert [text.add(2, delta(0, "One")), text.add(2, delta(1, " two th")), text.add(2, delta(2, "ree"))] == [
        "",
        " th",
        "ree",
    ]
    assert text.complete("One two three") == ""


@pytest.mark.parametrize("said", ["Two", "One three"])
def test_an_attempt_that_says_something_else_is_noticed(said: str) -> None:
    text = ReportedText()
    text.add(1, delta(0, "One two"))
    with pytest.raises(StreamDiverged):
        text.add(2, delta(0, said))
    with pytest.raises(StreamDiverged):
        text.complete(said)


def test_nothing_is_made_good_for_when_it_is_not_known_what_was_sent() -> None:
    text = ReportedText()
    text.mark_unknown()
    assert text.add(1, delta(3, " four")) == ""
    assert text.complete("One two three four") == ""
