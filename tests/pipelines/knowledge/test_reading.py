from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.gateway.models import Chunk, Citation, Passage
from pipelines.knowledge.reading import AnswerReader, Reading

PASSAGES = (
    Passage("p1", "A claim must be filed within 21 days of delivery.", "claims.pdf", page=2),
    Passage("p2", "The fee is EUR 12.50 per parcel. Fragile goods cost more.", "prices.pdf", page=1),
)


def read(pieces: Sequence[str]) -> tuple[str, Reading]:
    reader = AnswerReader(PASSAGES)
    live = "".join(reader.feed(Chunk(piece)) for piece in pieces) + reader.close()
    return live, reader.reading


ANSWERS = [
    # (what the model writes, what is shown, what is cited, how many quotes were dropped)
    (
        (
            """You have 21 days.<quote source="1">must be filed within 21 days</quote> """
            """It costs 12.50.<quote source='2'>The fee is EUR 12.50 per parcel.</quote>"""
        ),
        "You have 21 days. [1] It costs 12.50. [2]",
        ["must be filed within 21 days", "The fee is EUR 12.50 per parcel."],
        0,
    ),
    # The wrong source: the citation names where the words really stand.
    ('X.<quote source="1">Fragile goods cost more.</quote>', "X. [1]", ["Fragile goods cost more."], 0),
    ("X.<quote>Fragile goods cost more.</quote>", "X. [1]", ["Fragile goods cost more."], 0),
    # Words that stand nowhere are not marked.
    ('Within 30 days.<quote source="1">within 30 days of delivery</quote>', "Within 30 days.", [], 1),
    ('X.<quote source="99">Fragile goods cost more.</quote>', "X. [1]", ["Fragile goods cost more."], 0),
    # The same quote twice is one citation.
    (
        'X.<quote source="2">Fragile goods</quote> Y.<quote source="2">Fragile goods</quote>',
        "X. [1] Y. [1]",
        ["Fragile goods"],
        0,
    ),
    # A bare number is no quote, and would pass for one of our markers.
    ("So it is [1]. And [2, 3] too [12].", "So it is. And too.", [], 0),
    ("a [note] stays, a[0 too, 3 < 4, <b>bold</b>, <quo", "a [note] stays, a[0 too, 3 < 4, <b>bold</b>, <quo", [], 0),
    # Cut off inside a quote.
    ('Days.<quote source="1">must be filed wi', "Days.", [], 1),
    ("", "", [], 0),
    ("  \n Leading blanks.", "Leading blanks.", [], 0),
]


@pytest.mark.parametrize(("written", "shown", "quotes", "dropped"), ANSWERS)
def test_quotes_become_markers(written: str, shown: str, quotes: list[str], dropped: int) -> None:
    live, reading = read([written])

    texts = {passage.id: passage.text for passage in PASSAGES}
    assert live == reading.text == shown
    assert [texts[cited.passage_id][cited.start : cited.end] for cited in reading.citations] == quotes
    assert reading.dropped_quotes == dropped


@pytest.mark.parametrize("written", [case[0] for case in ANSWERS])
@given(data=st.data())
def test_where_the_stream_is_cut_into_chunks_changes_nothing(written: str, data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(written)), max_size=12)))
    pieces = [written[begin:end] for begin, end in zip([0, *cuts], [*cuts, len(written)], strict=True)]

    assert read(pieces) == read([written])


PIECES = ["<quote", ' source="1"', " source=[2]", '"', ">", "</quote>", "must be filed", " ", "\n", "[", "1", ", ", "]"]


@given(st.lists(st.sampled_from([*PIECES, "<no-answer/>", "<", "/"]), max_size=40).map("".join))
def test_nothing_a_model_writes_breaks_it_nor_leaves_a_marker_without_a_citation(written: str) -> None:
    live, reading = read(list(written))

    assert live == reading.text
    assert reading == read([written])[1]


def test_a_quote_that_is_never_closed_does_not_swallow_the_answer() -> None:
    live, reading = read(['X.<quote source="1">', "word " * 500, "The end."])

    assert live.endswith("The end.")
    assert reading.dropped_quotes == 1


def test_a_model_that_finds_no_answer_says_so_with_its_own_words() -> None:
    live, reading = read(["<no-", "answer/>\nThe sources say nothing of drones."])

    assert reading.says_no_answer
    assert live == "The sources say nothing of drones."


def test_chunks_with_citations_are_the_passages_own_words_and_keep_every_character() -> None:
    reader = AnswerReader(PASSAGES)
    shown = reader.feed(Chunk("See [4] <quote> of it.", (Citation("p1", 0, 7),)))
    shown += reader.feed(Chunk("\nMore.", (Citation("p2", 0, 11),))) + reader.close()

    assert shown == "See [4] <quote> of it. [1]\nMore. [2]"
    assert reader.reading.citations == (Citation("p1", 0, 7), Citation("p2", 0, 11))


@pytest.mark.parametrize("unreal", [Citation("p9", 0, 5), Citation("p1", 5, 5), Citation("p1", 0, 500)])
def test_a_citation_outside_the_passages_is_dropped(unreal: Citation) -> None:
    reader = AnswerReader(PASSAGES)

    assert reader.feed(Chunk("Words.", (unreal,))) == "Words."
    assert reader.reading.citations == ()
    assert reader.reading.dropped_quotes == 1
