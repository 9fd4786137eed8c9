from pipelines.research.critique.claims import Block, Claim, read_draft, write_block


def claims(text: str) -> list[tuple[str, tuple[int, ...]]]:
    return [(claim.text, claim.cited) for block in read_draft(text) for claim in block.claims]


def test_sentences_and_their_markers_wherever_those_stand() -> None:
    assert claims("It costs EUR 3.00 [1]. It is booked before, e.g. online. [2][3] Not for cash [4, 5].") == [
        ("It costs EUR 3.00.", (1,)),
        ("It is booked before, e.g. online.", (2, 3)),
        ("Not for cash.", (4, 5)),
    ]


def test_a_sentence_without_marker_is_a_claim_without_source() -> None:
    assert claims("It is the best. It is cheap [1].") == [("It is the best.", ()), ("It is cheap.", (1,))]


def test_headings_are_dropped_and_lists_kept() -> None:
    blocks = read_draft(
        "## Cover\n\n**In short:**\n- One thing [1].\n- Another\n* \u201cA quote.\u201d [2]\n\nText\nover lines [3]."
    )
    assert [(block.is_item, len(block.claims)) for block in blocks] == [(True, 1), (True, 1), (True, 1), (False, 1)]
    assert blocks[3].claims == (Claim("Text over lines.", (3,)),)
    assert blocks[2].claims == (Claim("\u201cA quote.\u201d", (2,)),)


def test_what_is_written_reads_as_what_was_read() -> None:
    block = Block((Claim("One.", (4, 2)), Claim("Two.", (2,))), is_item=True)
    assert write_block(block, {4: 1, 2: 2}) == "- One. [1][2] Two. [2]"
    assert [(text, set(cited)) for text, cited in claims(write_block(block))] == [("One.", {2, 4}), ("Two.", {2})]


def test_nothing_said_is_no_claim() -> None:
    assert read_draft("[1]\n\n---\n\n. [2]\n") == []
