"""The graph on the embedded models: an extractive report, its gaps, and what happens to a job that is interrupted."""

import io
from pathlib import Path

import pypdf
import pytest

from core.capability import ChildCall, ChildOutcome, LeaseLost
from core.gateway.service import open_gateway
from core.kit.errors import CapabilityFailure
from core.kit.settings import Settings
from pipelines._kit.quotes import find_quote
from pipelines.research.schemas import ReportInput, ReportOutput
from pipelines.research.web.choosing import open_web_search
from tests.factories.context import RecordingContext
from tests.factories.knowledge import Library
from tests.factories.research import Answering, Research, finding, outcome_of, searching
from tests.factories.search_service import search_service

pytestmark = [
    pytest.mark.heavy,
    pytest.mark.xdist_group("crews"),
    # CrewAI reads fields of its own that it has deprecated.
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]

QUESTION = "What does extended cover cost, and how are damaged parcels claimed?"
BASE, OTHER = "kb_01kb0d3h5we3v9wq2m8c5r6t7x", "kb_01kb0d3h5we3v9wq2m8c5r6t7y"


def research_of(answer: Answering) -> Research:
    return Research(open_gateway(Settings(model_base_url=None)), answer)


def require_truth(report: ReportOutput) -> None:
    """Every claim stands word for word in every source that it cites."""
    texts = {source.number: source.text for source in report.sources}
    for section in report.sections:
        for claim in section.claims:
            assert claim.support == "quoted"
            assert all(find_quote(texts[number], claim.text) for number in claim.sources), claim.text


def test_a_report_without_a_writing_model_is_made_of_quotes_by_both_frameworks(library: Library) -> None:
    research = Research(library.gateway, searching(library))
    report = research.report(QUESTION, library.base_id)

    require_truth(report)
    assert [section.sub_question for section in report.sections] == [1, 2]
    assert "1.2 % of the declared value" in report.markdown
    assert report.model == "local/extractive"
    steps = list(dict.fromkeys(research.steps))
    assert steps == [
        *("langgraph:scout", "langgraph:plan", "langgraph:search"),
        *("crewai:researcher", "crewai:analyst", "crewai:writer", "crewai:reviewer"),
        *("langgraph:check", "langgraph:settle", "langgraph:publish"),
    ]
    last = research.attempts[-1]
    assert "".join(last.deltas).rstrip() == report.markdown.rstrip()
    assert last.artifacts["report.md"].decode() == report.markdown
    assert "Extended cover costs" in pypdf.PdfReader(io.BytesIO(last.artifacts["report.pdf"])).pages[0].extract_text()
    assert [artifact.name for artifact in report.artifacts] == ["report.md", "report.pdf"]
    [planned] = research.named("research.planned")
    assert len(planned["sub_questions"]) == 2
    progress = [each["done"] for each in research.named("progress.updated")]
    assert progress == sorted(progress)
    assert research.named("progress.updated")[-1]["done"] == research.named("progress.updated")[-1]["total"]


def test_a_broad_question_is_divided_by_the_topics_that_were_found(library: Library) -> None:
    report = Research(library.gateway, searching(library)).report("How should parcels be packed?", library.base_id)

    require_truth(report)
    assert [part.origin for part in report.plan][:2] == ["asked", "facet"]
    assert len(report.sections) > 1
    assert all(part.origin != "facet" for part in report.plan if not part.answered) or report.unanswered == []


def test_children_that_fail_leave_gaps_that_the_report_names() -> None:
    research = research_of(finding(failing={"search-1-0": "expired"}))
    report = research.report(QUESTION, BASE)

    assert report.answered
    [missing] = report.unanswered
    assert (missing.question, missing.reason) == ("How are damaged parcels claimed?", "search_failed")
    assert f"{BASE}: expired" in missing.detail
    assert [search.state for search in report.searches] == ["succeeded", "succeeded", "expired"]
    assert "What could not be answered" in report.markdown


def test_a_knowledge_base_that_fails_beside_one_that_answers_is_named() -> None:
    failing = {f"search-{part}-1": "failed" for part in (0, 1)}
    report = research_of(finding(failing=failing)).report(QUESTION, BASE, OTHER)

    assert all(part.answered for part in report.plan)
    assert {each.reason for each in report.unanswered} == {"search_failed"}
    assert all("answered in part" in each.detail for each in report.unanswered)


def test_when_every_search_fails_the_report_says_that_it_knows_nothing() -> None:
    def fail(call: ChildCall) -> ChildOutcome:
        return outcome_of(call, None, "failed")

    report = research_of(fail).report(QUESTION, BASE)

    assert not report.answered
    assert {each.reason for each in report.unanswered} == {"search_failed"}
    assert "Nothing of this question could be answered" in report.markdown


def test_what_the_sources_do_not_say_is_not_answered() -> None:
    report = research_of(finding()).report("Who won the football match in Oslo?", BASE)
    assert not report.answered
    assert report.unanswered[0].reason == "not_in_sources"


def test_a_job_that_wants_the_web_where_it_is_off_is_refused_before_anything_is_searched() -> None:
    research = research_of(finding())
    with pytest.raises(CapabilityFailure, match="WAYBILL_WEB_SEARCH") as refused:
        research.report(QUESTION, BASE, web=True)
    assert refused.value.code == "web_search_off"
    assert research.attempts[-1].calls == {}


def test_web_results_are_cited_as_outside_content(tmp_path: Path) -> None:
    hit = {
        "title": "Cover",
        "url": "https://cover.example/",
        "content": "Extended cover costs EUR 9.00 for a parcel abroad, as the table of prices shows.",
    }
    with search_service(tmp_path, lambda _: (200, {"results": [hit]})) as service:
        settings = Settings(web_search="searxng", web_search_url=service.url)
        research = research_of(finding())
        research.web = open_web_search(settings, verify=service.trust or True)
        report = research.report("What does extended cover cost?", web=True)
        failing = research_of(finding())
        failing.web = research.web
        service.respond = lambda _: (503, {})
        partly = failing.report("What does extended cover cost?", BASE, web=True)

    assert [(source.kind, source.url) for source in report.sources] == [("web", "https://cover.example/")]
    assert "outside content" in report.markdown
    assert "langgraph:web" in research.steps
    assert any("web: web_search_failed" in each.detail for each in partly.unanswered)
    assert all(source.kind == "document" for source in partly.sources)


def test_a_lost_worker_repeats_no_finished_step() -> None:
    """Lose the lease at every check in turn: what was finished before is not done again."""
    payload = ReportInput(question=QUESTION, knowledge_bases=[BASE])
    whole = research_of(finding())
    whole.go_on(payload, RecordingContext())
    checks = sum(ctx.checks for ctx in whole.attempts)

    for lost_at in range(0, checks, 7):
        research = research_of(finding())
        report = _interrupted(research, payload, lost_at)
        assert report.answered
        assert sorted(research.steps) == sorted(whole.steps)


def _interrupted(research: Research, payload: ReportInput, lost_at: int) -> ReportOutput:
    seen = 0

    def check() -> None:
        nonlocal seen
        seen += 1
        if seen == lost_at:
            raise LeaseLost

    research.check = check
    try:
        return research.go_on(payload, RecordingContext())
    except LeaseLost:
        before = research.attempts
        report = research.go_on(payload, before[-1].next_attempt())
        research.attempts = [*before, *research.attempts]
        return report
