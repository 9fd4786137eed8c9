"""What the examples of policies say about texts: of whole texts, once each, and by each policy's own similarity."""

from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from core.gateway.embeddings.minilm import load_minilm
from core.guard.examples import PIECE_MAX_CHARACTERS, PIECES_MAX, ExampleClasses, pieces_of
from core.guard.policy import DEFAULT_SIMILARITY, TEMPLATES, CombinedPolicy, Example, GuardPolicy
from core.kit.data_classes import DataClass
from core.kit.errors import CapabilityFailure, Unavailable
from tests.evals.guard import classes as evaluation
from tests.evals.scores import missed

BID, ILLNESS = "we bid for the company", "she is ill and in treatment"
FILLER = "the parcel left the depot on monday " * 5


class Words:
    """Turns texts into vectors of the words that they hold, and remembers what it was given."""

    def __init__(self) -> None:
        self.given: list[str] = []
        self._places: dict[str, int] = {}

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        self.given += texts
        vectors = np.zeros((len(texts), 256), dtype=np.float32)
        for row, text in enumerate(texts):
            for word in text.split():
                vectors[row, self._places.setdefault(word, len(self._places))] = 1
        unit: NDArray[np.float32] = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        return unit


def policy_of(similarity: float = 0.7, **examples: str) -> GuardPolicy:
    """A policy with one example of each class that is named."""
    return GuardPolicy(
        examples=tuple(Example(text=text, data_class=DataClass(name)) for name, text in examples.items()),
        example_similarity=similarity,
    )


def combined(*policies: GuardPolicy) -> CombinedPolicy:
    return CombinedPolicy(policies)


def test_a_text_has_the_highest_class_of_the_examples_that_it_is_like() -> None:
    classes = ExampleClasses(Words().embed)
    policy = combined(policy_of(confidential=BID, restricted=ILLNESS, public=f"{BID} today"))

    def said(*texts: str) -> DataClass | None:
        return classes.highest(policy, texts)

    assert said("we bid for the other company") is DataClass.CONFIDENTIAL
    assert said("we bid for the other company", "she is ill and in bed") is DataClass.RESTRICTED
    assert said("the company for which they work") is None
    assert said("", " \n") is said() is None


def test_each_policy_compares_its_own_examples_by_its_own_similarity() -> None:
    classes = ExampleClasses(Words().embed)
    near = "we bid for the other house"
    for strict, mild, given in ((0.95, 0.6, DataClass.CONFIDENTIAL), (0.6, 0.95, DataClass.RESTRICTED)):
        policies = policy_of(strict, restricted=BID), TEMPLATES["off"], policy_of(mild, confidential=BID)
        assert classes.highest(combined(*policies), [near]) is given
    both = combined(policy_of(0.6, restricted=BID), policy_of(0.6, public=BID))
    assert classes.highest(both, [near]) is DataClass.RESTRICTED, "what one policy says, the other does not undo"


def test_examples_and_texts_are_turned_into_vectors_once_and_nothing_without_examples() -> None:
    words = Words()
    classes = ExampleClasses(words.embed)
    assert classes.highest(combined(TEMPLATES["strict"]), [BID]) is None
    assert words.given == []
    for _ in range(2):
        # As after another version of another policy was put: the same document, read again.
        policy = combined(TEMPLATES["off"], policy_of(confidential=BID))
        assert classes.highest(policy, [BID, "it rains", BID]) is DataClass.CONFIDENTIAL
    assert words.given == [BID, BID, "it rains"]
    assert classes.highest(combined(policy_of(restricted="it rains")), ["it rains"]) is DataClass.RESTRICTED
    assert len(words.given) == 5, "another policy has another answer"


def test_all_of_a_long_text_is_compared_up_to_a_bound() -> None:
    classes, policy = ExampleClasses(Words().embed), combined(policy_of(restricted=BID))
    ahead = "\n\n".join([FILLER] * 10)
    assert classes.highest(policy, [f"{ahead}\n\n{BID}\n\n{ahead}"]) is DataClass.RESTRICTED
    assert classes.highest(policy, [f"{ahead} {BID}. {ahead}"]) is None, "but not where nothing sets it apart"
    assert classes.highest(policy, [ahead]) is None
    within, beyond = ("\n\n".join([FILLER] * many) for many in (PIECES_MAX - 1, PIECES_MAX))
    assert classes.highest(policy, [f"{within}\n\n{BID}"]) is DataClass.RESTRICTED
    assert classes.highest(policy, [f"{beyond}\n\n{BID}"]) is None
    long = GuardPolicy(examples=(Example(text=f"{FILLER}\n\n{FILLER}\n\n{BID}", data_class=DataClass.RESTRICTED),))
    assert classes.highest(combined(long), [BID]) is DataClass.RESTRICTED, "and all of an example"


def test_pieces_are_paragraphs_the_short_ones_joined_and_the_long_ones_cut() -> None:
    assert pieces_of("a\r\n\r\nb\nc\n \n\n\nd") == ["a\nb\nc\nd"]
    first, second = "a" * 99, "b" * 120
    assert pieces_of(f"{first}\n\n{second}\n\nc") == [f"{first}\n{second}", "c"]
    assert pieces_of(f"{second}\n\n{first}\n\nc") == [second, f"{first}\nc"]
    assert pieces_of("x" * 600) == ["x" * 250, "x" * 250, "x" * 100]
    assert pieces_of(f"{first} {first}. {first} {second}") == [f"{first} {first}.", f"{first} {second}"]
    cut = pieces_of("word " * 1_000 + "\ud800")
    assert max(map(len, cut)) <= PIECE_MAX_CHARACTERS
    assert " ".join(cut).split() == ["word"] * 1_000 + ["?"]
    assert len(pieces_of("word " * 100_000)) == PIECES_MAX


def test_without_a_model_nothing_passes_that_has_to_be_compared() -> None:
    def absent(texts: Sequence[str]) -> NDArray[np.float32]:
        raise Unavailable(f"no model for {len(texts)} texts", code="embedding_model_missing")

    for classes in (ExampleClasses(), ExampleClasses(absent)):
        with pytest.raises(CapabilityFailure) as refused:
            classes.highest(combined(policy_of(confidential=BID)), ["anything"])
        assert (refused.value.code, refused.value.retryable) == ("guard_model_missing", False)
        assert classes.highest(combined(TEMPLATES["strict"]), ["anything"]) is None


def test_the_default_meets_the_marks_of_the_evaluation() -> None:
    examples, sets = evaluation.read()
    assert not {each.text for each in examples} & {text for texts in sets.values() for text in texts}
    embed = load_minilm().embed
    marked = {name: sets[name] for name in evaluation.MARKED}
    found = {name: evaluation.raised(examples, texts, DEFAULT_SIMILARITY, embed) for name, texts in marked.items()}
    rows = [evaluation.row_of(name, len(texts), len(found[name]) / len(texts)) for name, texts in marked.items()]
    assert missed(rows) == []
