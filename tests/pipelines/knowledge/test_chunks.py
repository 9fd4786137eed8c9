from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.gateway.embeddings.minilm import MAX_TOKENS, load_minilm
from pipelines.knowledge.documents.chunks import DEFAULT_SIZES, ChunkSizes, split_document
from pipelines.knowledge.documents.document import Builder, Document, Kind, weigh
from pipelines.knowledge.documents.readers import read

CORPUS = sorted(path for path in (Path(__file__).parents[3] / "samples" / "corpus").iterdir() if path.is_file())
SMALL = ChunkSizes(target=60, overlap=12, rest=10)

WORDS = st.text(st.characters(exclude_categories=()), max_size=60) | st.lists(
    st.sampled_from(["harbour", "fee.", "12.50", "a", "the the", "Ünï", "\x00", "?!", "x" * 90]), max_size=30
).map(" ".join)
BLOCKS = st.lists(
    st.one_of(
        st.tuples(st.just("heading"), st.text(max_size=20), st.integers(1, 4)),
        st.tuples(st.just("paragraph"), WORDS),
        st.tuples(st.just("item"), WORDS),
        st.tuples(st.just("code"), WORDS),
        st.tuples(st.just("table"), st.lists(st.lists(WORDS, max_size=3), max_size=8)),
        st.tuples(st.just("begin_page"), st.integers(1, 1)),
    ),
    max_size=14,
)


def build(blocks: list[tuple[object, ...]]) -> Document:
    builder = Builder("text/plain")
    page = 0
    for name, *arguments in blocks:
        if name == "begin_page":
            page += 1
            builder.begin_page(page)
        else:
            getattr(builder, str(name))(*arguments)
    return builder.build(fallback_title="Untitled")


@settings(max_examples=300)
@given(BLOCKS, st.sampled_from([SMALL, DEFAULT_SIZES]))
def test_chunks_are_slices_that_cover_the_text_and_cross_nothing(
    blocks: list[tuple[object, ...]], sizes: ChunkSizes
) -> None:
    document = build(blocks)
    chunks = split_document(document, sizes)
    headings = [block for block in document.blocks if block.kind is Kind.HEADING]
    covered: set[int] = set()
    for index, chunk in enumerate(chunks):
        assert chunk.index == index
        assert document.text[chunk.char_start : chunk.char_end] == chunk.text
        assert chunk.text.strip()
        assert chunk.section
        assert weigh(chunk.text) <= sizes.target + sizes.rest
        alone = any((chunk.char_start, chunk.char_end) == (heading.start, heading.end) for heading in headings)
        assert alone or all(h.end <= chunk.char_start or h.start >= chunk.char_end for h in headings)
        covered.update(range(chunk.char_start, chunk.char_end))
    starts = [chunk.char_start for chunk in chunks]
    assert starts == sorted(starts)
    for block in document.blocks:
        if block.kind is not Kind.HEADING:
            missing = [
                at for at in range(block.start, block.end) if at not in covered and not document.text[at].isspace()
            ]
            assert missing == [], document.text[block.start : block.end]
    assert bool(chunks) == bool(document.blocks)


@settings(max_examples=100)
@given(BLOCKS)
def test_documents_hold_only_text_and_their_spans_fit(blocks: list[tuple[object, ...]]) -> None:
    document = build(blocks)
    document.text.encode("utf-8")
    assert "\x00" not in document.text
    spans = [(page.start, page.end) for page in document.pages]
    assert all(0 <= start <= end <= len(document.text) for start, end in spans)
    assert all(one[1] == other[0] for one, other in pairwise(spans))
    for section in document.sections:
        assert section.path
        assert all(name == " ".join(name.split()) for name in section.path)


def document_of(*parts: tuple[str, object]) -> Document:
    return build([(name, *(argument if isinstance(argument, tuple) else (argument,))) for name, argument in parts])


def test_headings_are_context_and_not_text() -> None:
    document = document_of(
        ("heading", ("Harbour", 1)), ("heading", ("Fees", 2)), ("paragraph", "Twelve euro."), ("heading", ("Times", 2)),
        ("paragraph", "Always."),
    )  # fmt: skip
    assert [(chunk.section, chunk.text) for chunk in split_document(document)] == [
        ("Harbour > Fees", "Twelve euro."),
        ("Harbour > Times", "Always."),
    ]
    assert split_document(document)[0].embedding_text == "Harbour > Fees\nTwelve euro."


def test_a_heading_without_text_below_is_found_too() -> None:
    document = document_of(("heading", ("Harbour", 1)), ("heading", ("Closed for ever", 2)), ("heading", ("Why", 2)))
    assert [(chunk.section, chunk.text) for chunk in split_document(document)] == [
        ("Harbour", "Closed for ever"),
        ("Harbour", "Why"),
    ]


def test_small_blocks_share_a_chunk_and_sections_do_not() -> None:
    document = document_of(
        ("paragraph", "One."), ("item", "two"), ("table", [["three", "four"]]), ("heading", ("Next", 1)),
        ("paragraph", "Five."),
    )  # fmt: skip
    assert [chunk.text for chunk in split_document(document)] == ["One.\n\n- two\n\nthree | four", "Five."]


def test_a_long_paragraph_is_cut_between_sentences_with_a_small_overlap() -> None:
    sentences = [f"Sentence number {number} says something about the harbour." for number in range(60)]
    chunks = split_document(document_of(("paragraph", " ".join(sentences))))
    assert len(chunks) > 3
    assert all(chunk.text.startswith("Sentence") and chunk.text.endswith(".") for chunk in chunks)
    for one, other in pairwise(chunks):
        assert 0 < one.char_end - other.char_start <= DEFAULT_SIZES.overlap


def test_a_table_is_cut_between_rows_and_its_header_goes_along() -> None:
    rows = [["Boat", "Fee in euro"], *([f"Boat number {number}", f"{number}.50"] for number in range(80))]
    chunks = split_document(document_of(("table", rows)))
    lines = [line for chunk in chunks for line in chunk.text.split("\n")]
    assert lines == [" | ".join(row) for row in rows]
    assert len(chunks) > 2
    assert [chunk.context for chunk in chunks] == ["", *["Boat | Fee in euro"] * (len(chunks) - 1)]
    assert "Boat | Fee in euro" in chunks[1].embedding_text


def test_the_hash_changes_with_text_and_section_and_with_nothing_else() -> None:
    one = split_document(document_of(("heading", ("Fees", 1)), ("paragraph", "Twelve.")))[0]
    moved = split_document(document_of(("heading", ("Fees", 1)), ("paragraph", "  Twelve. ")))[0]
    other_text = split_document(document_of(("heading", ("Fees", 1)), ("paragraph", "Eleven.")))[0]
    other_section = split_document(document_of(("heading", ("Fines", 1)), ("paragraph", "Twelve.")))[0]
    assert one.content_hash == moved.content_hash
    assert len({one.content_hash, other_text.content_hash, other_section.content_hash}) == 3
    assert len(one.content_hash) == 64


def test_a_chunk_over_a_page_break_knows_both_pages() -> None:
    document = document_of(
        ("begin_page", 1), ("paragraph", "One."), ("begin_page", 2), ("paragraph", "Two."), ("heading", ("N", 1)),
        ("paragraph", "Three."),
    )  # fmt: skip
    assert [(chunk.page, chunk.page_end) for chunk in split_document(document)] == [(1, 2), (2, 2)]


@pytest.mark.parametrize("path", CORPUS, ids=lambda path: path.name)
def test_the_sample_corpus(path: Path) -> None:
    document = read(path.read_bytes(), name=path.name)
    chunks = split_document(document)
    assert len(chunks) >= 3
    assert all(document.text[chunk.char_start : chunk.char_end] == chunk.text for chunk in chunks)
    assert all(chunk.section.startswith(document.title) for chunk in chunks)
    count = load_minilm().count_tokens
    within = [count(chunk.embedding_text) <= MAX_TOKENS - 2 for chunk in chunks]
    assert sum(within) >= len(within) - 1, "the embedding model must see whole chunks"
    if path.suffix == ".pdf":
        assert {chunk.page for chunk in chunks} == set(range(1, (document.page_count or 0) + 1))
