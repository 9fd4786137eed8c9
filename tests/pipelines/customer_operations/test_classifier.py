from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from core.gateway.embeddings.minilm import load_minilm
from pipelines.customer_operations.intents.classifier import IntentClassifier
from pipelines.customer_operations.intents.examples import Classifiers, load_examples
from pipelines.customer_operations.intents.words import WIDTH, WordVectors


@pytest.fixture(scope="module")
def trained() -> IntentClassifier:
    return Classifiers(load_examples()).get(load_minilm().name, load_minilm().embed)


def test_the_shipped_embeddings_are_those_of_the_shipped_examples() -> None:
    def embed(texts: Sequence[str]) -> NDArray[np.float32]:
        raise AssertionError(
            "the embeddings are of other examples: python -m pipelines.customer_operations.intents.examples"
        )

    classifier = Classifiers(load_examples()).get(load_minilm().name, embed)
    messages = load_examples()["lost_parcel"][::20]
    for guess in classifier.guess(messages, load_minilm().embed(messages)):
        assert guess.intent == "lost_parcel"


def test_the_shipped_examples_are_told_apart_without_themselves(trained: IntentClassifier) -> None:
    assert trained.left_out_accuracy > 0.85


def test_probabilities_add_up_and_are_ranked(trained: IntentClassifier) -> None:
    texts = ["I was charged two times", "asdf", ""]
    guesses = trained.guess(texts, load_minilm().embed(texts))

    for guess in guesses:
        ranked = [guess.confidence, *(share for _, share in guess.others)]
        assert ranked == sorted(ranked, reverse=True)
        assert sum(ranked) == pytest.approx(1.0)
        assert len({guess.intent, *(name for name, _ in guess.others)}) == len(trained.intents)
    assert guesses[0].intent == "charged_twice"
    assert guesses[1].confidence < guesses[0].confidence


def test_scores_left_out_are_what_learning_without_the_example_gives() -> None:
    examples = {name: load_examples()[name][:16] for name in ("order_status", "complaint", "charged_twice")}
    texts = [text for messages in examples.values() for text in messages]
    intents = [name for name, messages in examples.items() for _ in messages]
    vectors = load_minilm().embed(texts)
    whole = IntentClassifier(texts, intents, vectors)
    right = 0
    for left_out in range(len(texts)):
        kept = [number for number in range(len(texts)) if number != left_out]
        # The rarity of words is the one thing that the left-out example still has a share in.
        without = IntentClassifier([texts[k] for k in kept], [intents[k] for k in kept], vectors[kept])
        right += without.guess([texts[left_out]], vectors[[left_out]])[0].intent == intents[left_out]
    assert right / len(texts) == pytest.approx(whole.left_out_accuracy, abs=2.1 / len(texts))


def test_word_vectors_have_unit_length_and_do_not_depend_on_the_company_they_are_in() -> None:
    words = WordVectors(["where is my parcel", "refund the parcel", "…"])
    assert words.examples.shape == (3, WIDTH)
    np.testing.assert_allclose(np.linalg.norm(words.examples, axis=1), [1, 1, 0], atol=1e-6)
    alone, together = words.of(["refund the parcel"]), words.of(["x", "refund the parcel"])
    np.testing.assert_array_equal(alone[0], together[1])
    np.testing.assert_allclose(alone[0], words.examples[1], atol=1e-6)


def test_every_example_needs_its_intent() -> None:
    with pytest.raises(ValueError, match="each example"):
        IntentClassifier(["a"], [], np.zeros((1, 4), dtype=np.float32))
