"""Links that may not leave, in every form, whole and in pieces, and in linear time."""

from time import thread_time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.guard.links import MAX_CONSTRUCT, REMOVED, AllowedLinks, LinkStripper, strip_links, strip_links_of

ALLOWED = AllowedLinks.of(["docs.example.com", "*.corp.example"], ["as in https://mine.example/x?y=1."])

REFUSED = [
    ("![x](http://evil.com/?d=1) hi", f"![x] {REMOVED} hi"),
    ("[c](https://corp.example/)", f"[c] {REMOVED}"),
    ("[id]: http://evil.com\n[t][id]", f"[id] {REMOVED}\n[t][id]"),
    ("[id]:\n  http://evil.com\n[t][id]", f"[id] {REMOVED}\n[t][id]"),
    ("<http://evil.com>", REMOVED),
    ("<img src=//evil.com/x>", REMOVED),
    ("<img srcset='/a 1x'>", REMOVED),
    ("<svg onload=x>", REMOVED),
    ("<a\nhref\n=\n'//evil.com'>x</a>", f"{REMOVED}x</a>"),
    ("see https://evil.com/?a=b, ok", f"see {REMOVED}, ok"),
    ("https://mine.example/x?y=2", REMOVED),
    ("6http://evil.com", REMOVED),
    ("[a](https:\\/\\/evil.com)", f"[a] {REMOVED}"),
    ("[a](https://docs.example.com\\@evil.com)", f"[a] {REMOVED}"),
    ("[a](https://docs.example.com@evil.com)", f"[a] {REMOVED}"),
    ("[a](https:evil.com)", f"[a] {REMOVED}"),
    ("[a](/\\evil.com)", f"[a] {REMOVED}"),
    ("[a](javascript:x)", f"[a] {REMOVED}"),
    ("[m](mailto:a@b.c?body=x)", f"[m] {REMOVED}"),
    ("ht[tp://evil.com/?d=x](http://evil.com)", f"ht[{REMOVED}] {REMOVED}"),
    ("&#104;ttps://evil.com/x", REMOVED),
    ("\\u0068ttp\\u003a//evil.com", REMOVED),
    ("www.evil.com/x", REMOVED),
    ("![a](<http://evil.com/a b>)", f"![a] {REMOVED}"),
    ('![a](http://evil.com/a "title )")', f'![a] {REMOVED}")'),
]
KEPT = [
    "[a](https://docs.example.com/p) [b](https://a.corp.example:8443/x?y=z)",
    "https://mine.example/x?y=1.",
    "[x](/rel) [y](#part) [see] (note about) it [n]: value",
    '<quote source="2">a < b</quote> and List<String>',
    "C:\\\\dir, http:// alone, std::vector, 10:30, a/b",
    "[m](mailto:help@corp.example) or a@b.c",
]


@pytest.mark.parametrize(("text", "shown"), REFUSED)
def test_what_leads_to_a_host_that_is_not_allowed_is_taken_out(text: str, shown: str) -> None:
    assert strip_links(text, ALLOWED)[0] == shown


@pytest.mark.parametrize("text", KEPT)
def test_what_is_allowed_or_no_link_stays(text: str) -> None:
    assert strip_links(text, ALLOWED) == (text, 0)


@given(st.lists(st.sampled_from([text for text, _ in REFUSED] + KEPT), min_size=1, max_size=3), st.data())
@settings(max_examples=50)
def test_pieces_say_what_the_whole_says(texts: list[str], data: st.DataObject) -> None:
    whole = " ".join(texts)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=8)))
    stripper = LinkStripper(ALLOWED)
    pieces = [whole[start:end] for start, end in zip([0, *cuts], [*cuts, len(whole)], strict=True)]
    assert "".join(map(stripper.feed, pieces)) + stripper.close() == strip_links(whole, ALLOWED)[0]


@given(st.text(alphabet="[]()<>!:/\\.\"' \nhtpsw&#x6;evil", max_size=400))
@settings(max_examples=100)
def test_whatever_is_written_no_address_is_left(text: str) -> None:
    shown, _ = strip_links(text.replace("e", "http://evil.example/?d=1"), ALLOWED)
    assert "://evil.example" not in shown


def test_a_link_that_is_longer_than_any_is_cut_for_good() -> None:
    hidden = "](" + "x" * MAX_CONSTRUCT + " http://evil.com/ " + "y" * MAX_CONSTRUCT + "https://evil.com/?d=1"
    stripper = LinkStripper(ALLOWED)
    shown = "".join(map(stripper.feed, hidden)) + stripper.close()
    assert "://" not in shown


def test_values_within_json_are_judged_one_by_one() -> None:
    value = {"a": ["http://evil.com/?d=1", 3, None], "b": {"c": "fine"}}
    assert strip_links_of(value, ALLOWED) == ({"a": [REMOVED, 3, None], "b": {"c": "fine"}}, 1)


HOSTILE = [
    "<",
    "<a",
    "](",
    "[x]: ",
    "![](http://e.com/",
    "http:",
    "a",
    "&#",
    "] ",
    "<a b='",
    "\\",
    "](<",
    "://",
    "www.",
]


@pytest.mark.parametrize("unit", HOSTILE)
def test_time_is_linear_in_the_text(unit: str) -> None:
    def seconds(characters: int) -> float:
        text = unit * (characters // len(unit))
        began = thread_time()
        strip_links(text, ALLOWED)
        return thread_time() - began

    # Sixteen times when quadratic.
    assert min(seconds(60_000), seconds(60_000)) < 10 * max(seconds(15_000), 0.02)
