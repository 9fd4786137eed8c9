"""What two recognizers find becomes one list a text, and only those run that find what is wanted."""

from collections.abc import Sequence

from core.guard.detection import INJECTION_RECOGNIZER, Detector
from core.guard.records import EntityKind, Finding


class Digits:
    """A recognizer of single digits; `asked` are the kinds that were wanted of each call."""

    def __init__(self) -> None:
        self.asked: list[frozenset[str] | None] = []

    def find(self, texts: Sequence[str], kinds: frozenset[str] | None = None) -> list[list[Finding]]:
        self.asked.append(kinds)
        return [
            [Finding(EntityKind.PHONE, at, at + 1, 0.5, "digits") for at, letter in enumerate(text) if letter.isdigit()]
            for text in texts
        ]


class Shouting:
    """Takes exclamation marks for orders, and is very sure of three; `asked` counts its calls."""

    def __init__(self) -> None:
        self.asked = 0

    def score(self, texts: Sequence[str]) -> list[float]:
        self.asked += 1
        return [text.count("!") / 2 for text in texts]


def test_each_text_gets_its_own_findings_in_order_of_their_place() -> None:
    found = Detector(Digits(), Shouting()).analyze(["a1b2", "", "5 now!"])
    assert found[0] == [Finding("phone", 1, 2, 0.5, "digits"), Finding("phone", 3, 4, 0.5, "digits")]
    assert found[1] == []
    assert found[2] == [Finding("injection", 0, 6, 0.5, INJECTION_RECOGNIZER), Finding("phone", 0, 1, 0.5, "digits")]


def test_a_score_stays_between_0_and_1() -> None:
    assert Detector(Digits(), Shouting()).analyze(["!!!"])[0][0].score == 1.0


def test_nothing_is_found_in_no_texts() -> None:
    assert Detector(Digits(), Shouting()).analyze([]) == []


def test_only_the_recognizers_of_what_is_wanted_run() -> None:
    digits, shouting = Digits(), Shouting()
    detector = Detector(digits, shouting)
    phone = Finding("phone", 0, 1, 0.5, "digits")
    assert detector.analyze(["5!"], frozenset({"injection"})) == [
        [Finding("injection", 0, 2, 0.5, INJECTION_RECOGNIZER)]
    ]
    assert (digits.asked, shouting.asked) == ([], 1)
    assert detector.analyze(["5!"], frozenset({"phone", "person"})) == [[phone]]
    assert detector.analyze(["5!"], frozenset({"secret"})) == [[]]
    assert detector.analyze(["5!"], frozenset()) == [[]]
    assert (digits.asked, shouting.asked) == ([frozenset({"phone", "person"}), frozenset({"secret"})], 1)
