"""What a policy says about texts, by its rules, words and expressions, and without an analyzer."""

from itertools import pairwise

import pytest

from core.guard.errors import GuardUnavailable
from core.guard.policy import PERSONAL, TEMPLATES, CombinedPolicy, Dictionary, GuardPolicy, Pattern, Rule
from core.guard.records import Action, Direction, EntityKind, Findings, RedactionMode, Source
from core.guard.screening import AbsentAnalyzer, screen
from core.guard.terms import MATCHES_MAX, TermFinder
from core.registry.data_classes import DataClass
from tests.factories.plain_analyzer import PlainAnalyzer

ADDRESS = "write to ada@example.org"
REDACT_ALL = GuardPolicy(rules=(Rule(action=Action.REDACT),))


def screened(
    *policies: GuardPolicy,
    texts: tuple[str, ...] = (ADDRESS,),
    direction: Direction = Direction.TO_MODEL,
    analyzer: PlainAnalyzer | AbsentAnalyzer | None = None,
) -> Findings:
    return screen(
        texts,
        policy=CombinedPolicy(policies),
        direction=direction,
        source=Source.INPUT,
        analyzer=analyzer or PlainAnalyzer(),
    )


def test_the_strictest_of_all_policies_holds_and_each_finding_names_its_text() -> None:
    found = screened(TEMPLATES["observe"], TEMPLATES["balanced"], texts=("nothing", ADDRESS))
    [decision] = found.decisions
    assert (decision.finding.part, decision.finding.start, decision.finding.kind) == (1, 9, EntityKind.EMAIL)
    assert (decision.action, found.counts()) == (Action.REDACT, {"email": {"redact": 1}})


def test_where_the_policy_is_off_nothing_is_asked() -> None:
    analyzer = PlainAnalyzer()
    only_to_model = GuardPolicy(rules=(Rule(action=Action.BLOCK, directions=(Direction.TO_MODEL,)),))
    assert screened(TEMPLATES["off"], only_to_model, direction=Direction.TO_CLIENT, analyzer=analyzer) == Findings(
        texts=(ADDRESS,)
    )
    assert analyzer.asked == []


def test_without_an_analyzer_what_could_redact_is_refused_and_what_only_detects_is_incomplete() -> None:
    with pytest.raises(GuardUnavailable):
        screened(TEMPLATES["balanced"], analyzer=AbsentAnalyzer())
    words = GuardPolicy(
        rules=TEMPLATES["observe"].rules, dictionaries=(Dictionary(kind="project_name", terms=("Falcon",)),)
    )
    found = screened(words, texts=("the falcon project",), analyzer=AbsentAnalyzer())
    assert (found.incomplete, found.counts()) == (True, {"project_name": {"detect": 1}})


def test_only_kinds_that_a_rule_could_act_on_here_are_wanted() -> None:
    analyzer = PlainAnalyzer()
    emails = GuardPolicy(rules=(Rule(kinds=("email", "badge"), action=Action.REDACT),))
    secrets = GuardPolicy(rules=(Rule(kinds=("secret",), directions=(Direction.TO_CLIENT,), action=Action.BLOCK),))
    assert screened(emails, secrets, analyzer=analyzer).action is Action.REDACT
    screened(emails, secrets, direction=Direction.TO_CLIENT, analyzer=analyzer)
    screened(secrets, TEMPLATES["observe"], analyzer=analyzer)
    assert analyzer.kinds == [frozenset({"email"}), frozenset({"email", "secret"}), None]


def test_the_first_rule_for_a_kind_says_whether_it_is_wanted() -> None:
    off = Rule(kinds=("secret",), action=Action.OFF)
    secrets = Rule(kinds=("secret",), action=Action.BLOCK, threshold=1.0)
    everything = Rule(action=Action.DETECT, sources=(Source.INPUT,))

    def wanted(*rules: Rule, source: Source = Source.INPUT, least: Action = Action.DETECT) -> frozenset[str] | None:
        return GuardPolicy(rules=rules).kinds_wanted(Direction.TO_MODEL, source, least)

    assert wanted(everything) is None
    assert wanted(off, everything) == frozenset(EntityKind) - {"secret"}
    assert wanted(everything, off) is None
    assert wanted(off, secrets) == frozenset()
    assert wanted(everything, source=Source.DOCUMENT) == frozenset()
    assert wanted(secrets, everything, least=Action.REDACT) == frozenset({"secret"})
    assert wanted(everything, secrets, least=Action.REDACT) == frozenset()


def test_balanced_reads_answers_to_the_client_for_secrets_only() -> None:
    def wanted(direction: Direction, source: Source) -> set[str]:
        return set(TEMPLATES["balanced"].kinds_wanted(direction, source) or EntityKind)

    assert wanted(Direction.TO_CLIENT, Source.MODEL_OUTPUT) == wanted(Direction.TO_TOOL, Source.DOCUMENT) == {"secret"}
    assert wanted(Direction.TO_CLIENT, Source.INPUT) == {"secret", "injection"}
    assert wanted(Direction.TO_MODEL, Source.DOCUMENT) == {"secret", *PERSONAL}
    assert wanted(Direction.TO_MODEL, Source.INPUT) == {"secret", "injection", *PERSONAL}


def test_where_only_redaction_is_of_use_what_is_only_detected_is_not_wanted() -> None:
    analyzer = PlainAnalyzer()
    screen(
        [ADDRESS],
        policy=CombinedPolicy([TEMPLATES["strict"]]),
        direction=Direction.TO_CLIENT,
        source=Source.MODEL_OUTPUT,
        analyzer=analyzer,
        least=Action.REDACT,
    )
    assert analyzer.kinds == [frozenset({"secret", "card", "national_id"})]


def test_words_of_the_tenants_own_need_no_analyzer() -> None:
    own = GuardPolicy(
        rules=(Rule(kinds=("code_word",), action=Action.BLOCK),),
        dictionaries=(Dictionary(kind="code_word", terms=("Falcon",)),),
    )
    found = screened(own, texts=("the falcon project",), analyzer=AbsentAnalyzer())
    assert (found.incomplete, found.counts()) == (False, {"code_word": {"block": 1}})
    found = screened(own, TEMPLATES["observe"], texts=("the falcon project",), analyzer=AbsentAnalyzer())
    assert (found.incomplete, found.counts()) == (True, {"code_word": {"block": 1}}), "only detection needed it"


def test_an_allow_list_speaks_for_its_own_policy_only() -> None:
    allowing = REDACT_ALL.model_copy(update={"allow": ("Ada@Example.org",)})
    assert screened(allowing).decisions == ()
    assert screened(REDACT_ALL, allowing).action is Action.REDACT
    assert screened(allowing, texts=("write to ada@example.com",)).action is Action.REDACT


def test_a_score_below_the_threshold_is_no_finding() -> None:
    weak = GuardPolicy(
        rules=(Rule(action=Action.BLOCK, threshold=0.6),),
        patterns=(Pattern(kind="badge", expression="B-[0-9]+", score=0.5),),
    )
    assert screened(weak, texts=("badge B-17",)).decisions == ()


def test_the_class_is_the_highest_of_what_was_found() -> None:
    policy = GuardPolicy(
        rules=(Rule(kinds=("email",), action=Action.DETECT),),
        classes={"email": DataClass.CONFIDENTIAL, "phone": DataClass.RESTRICTED},
        dictionaries=(Dictionary(kind="code_word", terms=("Falcon Heavy",), data_class=DataClass.RESTRICTED),),
    )
    assert screened(policy).data_class is DataClass.CONFIDENTIAL
    raised = screened(policy, texts=("falcon\n heavy",))
    assert (raised.data_class, raised.decisions) == (DataClass.RESTRICTED, ()), "a class counts without a rule"
    assert screened(policy, texts=("falcons heavy",)).data_class is None
    allowed = policy.model_copy(update={"allow": ("Falcon heavy",)})
    assert screened(allowed, texts=("falcon heavy",)).data_class is None


def test_terms_are_whole_words_whatever_their_case_and_the_longest_wins() -> None:
    terms = ("Acme", "Acme Ltd.", "C++", "Straße", "東京")
    finder = TermFinder(GuardPolicy(dictionaries=(Dictionary(kind="own", terms=terms),)))
    text = "ACME ltd. and acme, not acmes; c++ in der STRASSE, 私は東京都に"
    assert [text[each.start : each.end] for each, _ in finder.find(text)] == [
        "ACME ltd.",
        "acme",
        "c++",
        "STRASSE",
        "東京",
    ]


def test_an_expression_that_matches_everywhere_costs_a_bounded_number_of_findings() -> None:
    finder = TermFinder(GuardPolicy(patterns=(Pattern(kind="any", expression="."),)))
    found = [finding for finding, _ in finder.find("é" * 5_000)]
    assert len(found) == MATCHES_MAX + 1
    assert (found[0].start, found[-1].end) == (0, 5_000)
    assert all(before.end == after.start for before, after in pairwise(found))


def test_the_mode_is_that_of_the_rule_that_decides() -> None:
    masked = GuardPolicy(rules=(Rule(kinds=("email",), action=Action.REDACT, mode=RedactionMode.MASK),))
    assert [each.mode for each in screened(TEMPLATES["observe"], masked).decisions] == [RedactionMode.MASK]
