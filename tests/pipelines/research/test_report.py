"""The report as files: what stands in it is text, whoever wrote it."""

import io
from typing import Any

import pypdf
import pytest

from pipelines.research.report.compose import compose
from pipelines.research.report.markdown import escape, render_markdown
from pipelines.research.report.pdf import render_pdf
from pipelines.research.report.rows import row_of
from pipelines.research.report.summary import summary_of
from pipelines.research.state import ResearchState
from tests.factories.research import FIGURES

QUESTION = "What costs # *more*?"


def state(**changes: Any) -> ResearchState:
    made: dict[str, Any] = {
        "question": QUESTION,
        "model": "m",
        "round": 1,
        "plan": [
            {"question": "One?", "query": "One?", "heading": "One?", "origin": "asked"},
            {"question": "Two?", "query": "Two?", "heading": "Two?", "origin": "asked"},
            {"question": "A topic", "query": "A topic", "heading": "A topic", "origin": "facet"},
        ],
        "sources": [
            {"kind": "document", "title": "unused.md", "text": "Nothing."},
            {"kind": "document", "title": "a|b.md", "text": "It is [so](http://x).", "page": 4, "section": "A > B"},
            {"kind": "web", "title": "Page", "text": "Yes.", "url": "https://x.example/?a=1&b=_2_"},
        ],
        "candidates": [[2, 3], [1], [1]],
        "drafts": ["\u201cIt is [so](http://x).\u201d [2] It is so. [3][2] Wrong. [3]", "", ""],
        "verdicts": [
            {"part": 0, "text": "\u201cIt is [so](http://x).\u201d", "cited": [2], "support": "quoted"},
            {"part": 0, "text": "It is so.", "cited": [3, 2], "support": "entailed"},
            {"part": 0, "text": "Wrong.", "cited": [3], "support": None},
        ],
        "removed": [{"part": 0, "text": "Wrong.", "reason": "no <b>reason</b>"}],
        "searches": [
            {"query": "One?", "where": "kb", "job_id": None, "state": "succeeded", "found": 2, "error": None},
            {"query": "Two?", "where": "kb", "job_id": None, "state": "expired", "found": 0, "error": "expired"},
        ],
        "prompts": {},
        **changes,
    }
    return made  # type: ignore[return-value]


def test_sources_are_numbered_as_they_appear_and_only_those_that_are_cited() -> None:
    body = compose(state())
    assert [(source.number, source.title) for source in body.sources] == [(1, "a|b.md"), (2, "Page")]
    assert [claim.sources for claim in body.sections[0].claims] == [[1], [1, 2]]


def test_what_could_not_be_answered_says_why_and_topics_that_no_one_asked_for_are_no_gap() -> None:
    [missing] = compose(state()).unanswered
    assert (missing.question, missing.reason) == ("Two?", "search_failed")
    assert "kb: expired" in missing.detail


def test_a_section_that_was_searched_for_in_part_says_so() -> None:
    searches = [
        {"query": "One?", "where": where, "job_id": None, "state": "x", "found": 1, "error": error}
        for where, error in (("kb", None), ("web", "web_search_failed"))
    ]
    body = compose(state(searches=searches))
    assert any(each.question == "One?" and "answered in part" in each.detail for each in body.unanswered)


def test_the_markdown_shows_markup_and_never_uses_it() -> None:
    body = compose(state())
    markdown = render_markdown(QUESTION, body, summary_of(state(), body, FIGURES))
    assert markdown.startswith("# What costs \\# \\*more\\*?\n")
    assert "\\[so\\](" in markdown
    assert "<b>" not in markdown
    assert "a\\|b.md" in markdown
    assert "| Page (outside content) | <https://x.example/?a=1&b=_2_> |" in markdown
    assert "Cost: USD 0.012; time: 12.5 s" in markdown
    assert "It is so. [1][2]" in markdown
    assert "## Claims that were removed\n\n- Wrong. (no \\<b\\>reason\\</b\\>)" in markdown


@pytest.mark.parametrize(
    "hostile", ["![x](https://evil/?q=1)", "<script>", "[a]: http://b", "1. x", "- x", "`x`", "\n# x"]
)
def test_whatever_a_source_holds_is_text(hostile: str) -> None:
    from markdown_it import MarkdownIt

    tokens = MarkdownIt("commonmark").parse(escape(hostile))
    kinds = {child.type for token in tokens for child in token.children or ()} | {token.type for token in tokens}
    assert kinds <= {"paragraph_open", "paragraph_close", "inline", "text", "text_special"}


def test_the_pdf_holds_the_whole_report_in_three_scripts() -> None:
    question = "Żółć, Ελλάδα, Привет: 中文 \U0001f600?"
    body = compose(state())
    page_text = "\n".join(
        page.extract_text()
        for page in pypdf.PdfReader(io.BytesIO(render_pdf(question, body, summary_of(state(), body, FIGURES)))).pages
    )
    for expected in ("Żółć, Ελλάδα, Привет", "1. One?", "[1][2]", "Two?", "Wrong.", "outside content", "USD 0.012"):
        assert expected in page_text


def test_a_report_of_nothing_says_so() -> None:
    empty = state(drafts=["", "", ""], candidates=[[], [], []], removed=[], searches=[])
    body = compose(empty)
    summary = summary_of(empty, body, FIGURES)
    assert "Nothing of this question could be answered" in render_markdown(QUESTION, body, summary)
    assert render_pdf(QUESTION, body, summary).startswith(b"%PDF")
    assert {each.reason for each in body.unanswered} == {"nothing_found"}


PRICES = "Prices of 2026\n\nService | Price | Cover\nStandard | EUR 4.50 | EUR 100\nExpress 12 | EUR 9.90 | EUR 250"


def compared() -> ResearchState:
    rows = [PRICES.splitlines()[3], PRICES.splitlines()[4]]
    drafts = ["\n".join(f"- \u201c{row}\u201d [1]" for row in rows), "- Express 12 comes by noon. [2]"]
    claims = [(0, f"\u201c{row}\u201d", [1]) for row in rows] + [(1, "Express 12 comes by noon.", [2])]
    return state(
        question="Compare standard and express delivery: price and delivery time.",
        plan=[
            {"question": at, "query": at, "heading": at, "origin": "aspect"}
            for at in ("Standard and express delivery: price", "Standard and express delivery: delivery time")
        ],
        sources=[
            {"kind": "document", "title": "prices.md", "text": PRICES},
            {"kind": "document", "title": "times.md", "text": "Express 12 comes by noon."},
        ],
        candidates=[[1], [2]],
        drafts=drafts,
        verdicts=[{"part": part, "text": text, "cited": cited, "support": "quoted"} for part, text, cited in claims],
        removed=[],
        searches=[],
    )


def test_rows_of_a_table_become_a_table_with_its_heads() -> None:
    body = compose(compared())
    first, second = body.sections[0].claims
    assert first.text == "\u201cStandard | EUR 4.50 | EUR 100\u201d"
    assert second.reading == "Express 12 \u2013 Price: EUR 9.90; Cover: EUR 250"
    made = summary_of(compared(), body, FIGURES)
    shown = render_markdown(QUESTION, body, made)
    assert "| Service | Price | Cover |  |\n| --- | --- | --- | --- |\n| Standard | EUR 4.50 | EUR 100 | [1] |" in shown
    assert "\u201cStandard |" not in shown
    text = pypdf.PdfReader(io.BytesIO(render_pdf(QUESTION, body, made))).pages[0].extract_text()
    assert "Service Price Cover" in " ".join(text.split())


def test_a_comparison_is_answered_by_a_table_of_both_sides() -> None:
    grid = compose(compared()).comparison
    assert grid is not None
    assert grid.heads == ("", "Standard", "Express delivery")
    assert [cells for cells, _ in grid.rows] == [
        ("Price", *(claim.reading for claim in compose(compared()).sections[0].claims)),
        ("Delivery time", "not found", "Express 12 comes by noon."),
    ]
    assert [sources for _, sources in grid.rows] == [(1,), (2,)]
    assert compose(state()).comparison is None


@pytest.mark.parametrize(("quote", "is_row"), [(3, True), (2, False), (0, False)])
def test_a_head_and_a_title_are_no_rows(quote: int, is_row: bool) -> None:
    assert (row_of(PRICES.splitlines()[quote], PRICES) is not None) is is_row
    assert row_of("Post-mortem | OPS-PM v1.2", "Post-mortem | OPS-PM v1.2\n\nIt stood still.") is None


def test_what_may_help_stands_below_what_answers_and_is_no_answer() -> None:
    plan = [{**part, "certain": number > 0} for number, part in enumerate(state()["plan"])]
    drafts = ["\u201cIt is [so](http://x).\u201d [2]", "Yes. [3]", ""]
    verdicts = [
        {"part": 0, "text": "\u201cIt is [so](http://x).\u201d", "cited": [2], "support": "quoted"},
        {"part": 1, "text": "Yes.", "cited": [3], "support": "quoted"},
    ]
    body = compose(state(plan=plan, drafts=drafts, verdicts=verdicts, removed=[], searches=[]))
    assert [(section.heading, section.certain) for section in body.sections] == [("Two?", True), ("One?", False)]
    assert [(each.question, each.reason) for each in body.unanswered] == [("One?", "not_certain")]
    shown = render_markdown(QUESTION, body, summary_of(state(), body, FIGURES))
    assert "## 2. What may help: One?" in shown
    assert "## In short" not in shown
