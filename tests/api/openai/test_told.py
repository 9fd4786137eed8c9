"""What a stream has told, when deltas are lost and attempts begin anew."""

from typing import Any

import pytest

from api.openai.told import Retold, ToldText


def delta(index: int, text: str) -> dict[str, Any]:
    return {"index": index, "text": text}


def test_every_delta_is_told_once() -> None:
    told = ToldText()
    assert [told.hear(1, delta(0, "One")), told.hear(1, delta(1, " two"))] == ["One", " two"]
    assert told.complete("One two") == ""


def test_what_was_lost_is_made_good_for_at_the_end() -> None:
    told = ToldText()
    assert told.hear(1, delta(0, "One")) == "One"
    assert told.hear(1, delta(2, " three")) == ""
    assert told.hear(1, delta(3, " four")) == ""
    assert told.complete("One two three four") == " two three four"


def test_an_attempt_that_says_the_same_again_goes_on_where_the_first_one_ended() -> None:
    told = ToldText()
    told.hear(1, delta(0, "One two"))
    assert [told.hear(2, delta(0, "One")), told.hear(2, delta(1, " two th")), told.hear(2, delta(2, "ree"))] == [
        "",
        " th",
        "ree",
    ]
    assert told.complete("One two three") == ""


@pytest.mark.parametrize("said", ["Two", "One three"])
def test_an_attempt_that_says_something_else_is_noticed(said: str) -> None:
    told = ToldText()
    told.hear(1, delta(0, "One two"))
    with pytest.raises(Retold):
        told.hear(2, delta(0, said))
    with pytest.raises(Retold):
        told.complete(said)


def test_nothing_is_made_good_for_when_it_is_not_known_what_was_told() -> None:
    told = ToldText()
    told.lose()
    assert told.hear(1, delta(3, " four")) == ""
    assert told.complete("One two three four") == ""
