from pipelines.research.crew.formats import read_objections, read_order, read_quotes, write_order
from pipelines.research.state import Found, Note

SOURCES: list[Found] = [
    {"kind": "document", "title": "a", "text": "First things come first here. - Items have bullets too."},
    {"kind": "document", "title": "b", "text": "Second things follow the first."},
]


def note(part: int) -> Note:
    return {"part": part, "source": 1, "start": 0, "end": 5}


def test_a_quote_is_taken_from_where_it_stands() -> None:
    first, second = '[1] "First things come first here."', "- [1]: \u201cSecond things follow the first.\u201d"
    text = f'{first}\n{second}\n[2] "- Items have bullets too."'
    notes = read_quotes(text, 4, SOURCES, [1, 2])
    assert [(note["source"], note["part"]) for note in notes] == [(1, 4), (2, 4), (1, 4)]
    assert SOURCES[0]["text"][notes[2]["start"] : notes[2]["end"]] == "Items have bullets too."


def test_what_stands_nowhere_or_where_it_was_not_read_is_no_note() -> None:
    assert (
        read_quotes('[1] "Third things never come."\nNONE\n[x] "First things come first here."', 0, SOURCES, [1]) == []
    )
    assert read_quotes('[2] "Second things follow the first."', 0, SOURCES, [1]) == []


def test_an_order_is_read_as_it_is_written() -> None:
    notes = [note(0), note(0), note(1)]
    assert read_order(write_order([[2, 0], [1]]), notes, 2) == [[2, 0], [1]]


def test_a_section_that_is_not_named_keeps_its_notes_and_none_is_used_twice() -> None:
    notes = [note(0), note(0), note(1)]
    assert read_order("Here is my order!\n1: 3, 99, 0, 3", notes, 2) == [[2], []]
    assert read_order("", notes, 2) == [[0, 1], [2]]
    assert read_order("1:\n2: 1", notes, 2) == [[], [0]]


def test_objections() -> None:
    text = "2.1: too long\n- Claim 1.3 - says nothing\n2.1: again\n0.1: no such section\nNONE"
    assert read_objections(text) == {(1, 0): "too long", (0, 2): "says nothing"}
