import pytest

from core.guard.records import Finding
from waybill.evals.guard.injections import Scored, together
from waybill.evals.guard.scores import Counts, score_of
from waybill.evals.guard.spans import Example, Span, is_covered, is_right


def finding(kind: str, start: int, end: int, score: float = 1.0) -> Finding:
    return Finding(kind, start, end, score, "test")


@pytest.mark.parametrize(
    ("findings", "covered"),
    [
        ([], False),
        ([finding("person", 0, 5)], True),
        ([finding("person", 0, 4)], False),
        ([finding("person", 0, 4), finding("person", 2, 4)], False),
        ([finding("person", 0, 3), finding("person", 8, 10)], True),
        ([finding("phone", 0, 10)], False),
    ],
)
def test_a_span_is_found_when_half_of_it_is_in_findings_of_its_kind(findings: list[Finding], covered: bool) -> None:
    assert is_covered(Span("person", 0, 10), findings) is covered


@pytest.mark.parametrize(
    ("found", "spans", "right"),
    [
        (finding("person", 0, 10), [Span("person", 0, 5)], True),
        (finding("person", 0, 11), [Span("person", 0, 5)], False),
        (finding("person", 0, 10), [Span("phone", 0, 10)], False),
        (finding("postcode", 0, 5), [Span("address", 0, 30)], True),
        (finding("address", 0, 10), [Span("address", 0, 3), Span("location", 4, 10)], True),
        (finding("address", 0, 10), [Span("location", 0, 10)], False),
        (finding("person", 0, 10), [Span("person", 0, 3), Span("location", 4, 10)], False),
    ],
)
def test_a_finding_is_right_when_half_of_it_is_in_spans_of_its_kind(
    found: Finding, spans: list[Span], right: bool
) -> None:
    assert is_right(found, spans) is right


def test_recall_precision_and_f2_are_what_they_are_by_hand() -> None:
    counts = Counts(spans=4, found=2, findings=3, right=3)
    assert (counts.recall, counts.precision) == (0.5, 1.0)
    assert counts.f2 == pytest.approx(5 * 1.0 * 0.5 / (4 * 1.0 + 0.5))
    assert (Counts(spans=4).f2, Counts(findings=2).f2) == (0.0, 0.0)


def test_a_score_counts_by_kind_covers_direct_identifiers_and_looks_at_texts_without_labels() -> None:
    examples = [
        Example("Ann Lee, 555 0100", (Span("person", 0, 7), Span("phone", 9, 17)), ""),
        Example("Call Rotterdam", (), ""),
    ]
    found = [
        [finding("person", 0, 7, 0.5), finding("secret", 9, 13), finding("phone", 9, 17, 0.4)],
        [finding("person", 5, 14), finding("location", 5, 14)],
    ]
    score = score_of(examples, found)
    assert score.kinds["person"] == Counts(spans=1, found=1, findings=2, right=1)
    assert score.kinds["phone"] == Counts(spans=1)
    assert score.kinds["secret"] == Counts(findings=1)
    # No text has a place labeled, so nothing says whether one is right.
    assert "location" not in score.kinds
    assert score.covered == (7 + 4) / (7 + 8)
    assert (score.clean_texts, score.clean_findings) == (1, ["person 'Rotterdam'"])
    assert "Rotterdam" not in str(score.as_json())


def test_places_count_where_the_data_labels_them() -> None:
    examples = [Example("Bath", (Span("location", 0, 4),), ""), Example("Bath", (), "")]
    score = score_of(examples, [[finding("location", 0, 4)], [finding("location", 0, 4)]])
    assert score.kinds["location"] == Counts(spans=1, found=1, findings=2, right=1)
    assert (score.covered, score.clean_findings) == (0.0, [])


def test_the_share_of_attacks_counts_from_the_threshold_on() -> None:
    scored = Scored("s", True, [0.3, 0.5, 0.9, 0.1], 1.0, 1024)
    assert [scored.share(each) for each in (0.3, 0.5, 0.6)] == [0.75, 0.5, 0.25]
    both = together([scored, Scored("t", True, [0.9], 2.0, 1024)])
    assert (both.share(0.6), both.seconds, both.size_bytes) == (0.4, 3.0, 2048)
