import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines._kit.quotes import find_quote

TEXT = (
    "A claim must be filed\nwithin 21 days \u2014 the sender\u2019s copy counts. "
    "It is \u201cfinal\u201d.\nFee: EUR 12.50 | EUR 3"
)


@pytest.mark.parametrize(
    ("quote", "words"),
    [
        ("A claim must be filed within 21 days", "A claim must be filed\nwithin 21 days"),
        ('"the sender\'s copy counts."', "the sender\u2019s copy counts."),
        ("  It is 'final  ", None),
        ('It is "final".', "It is \u201cfinal\u201d."),
        ("days - the", "days \u2014 the"),
        ("EUR 12.50", "EUR 12.50"),
        ("EUR 12.5", None),
        ("EUR 1", None),
        ("EUR 12", None),
        ("Fee: EUR 12.50 | EUR 3", "Fee: EUR 12.50 | EUR 3"),
        ("50 | EUR 3", None),
        ("claim must be", "claim must be"),
        ("laim must be", None),
        ("claim must b", None),
        ("a claim must be", None),
        ("claim must not be", None),
        ("claim be", None),
        ("claim", None),
        ("", None),
        ("...", None),
    ],
)
def test_a_quote_is_found_word_for_word_or_not_at_all(quote: str, words: str | None) -> None:
    span = find_quote(TEXT, quote)

    assert (span and TEXT[span.start : span.end]) == words


@given(st.data())
def test_every_run_of_words_of_a_text_is_found_in_it(data: st.DataObject) -> None:
    words = data.draw(st.lists(st.text(alphabet="abcd.,(*[\u2019", min_size=1, max_size=6), min_size=2, max_size=12))
    gaps = data.draw(st.lists(st.sampled_from([" ", "\n", "  ", "\u00a0"]), min_size=len(words), max_size=len(words)))
    text = "".join(word + gap for word, gap in zip(words, gaps, strict=True))
    first = data.draw(st.integers(0, len(words) - 2))
    last = data.draw(st.integers(first + 2, len(words)))
    quote = " ".join(words[first:last])

    span = find_quote(text, quote)

    if sum(any(character.isalnum() for character in word) for word in words[first:last]) >= 2:
        assert span is not None
        found = text[span.start : span.end]
        assert " ".join(found.split()).strip("'\u2019 ") in " ".join(text.split())
