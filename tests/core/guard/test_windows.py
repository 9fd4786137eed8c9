"""Every value of a long text is found once, wherever windows begin and end."""

import re

from hypothesis import given
from hypothesis import strategies as st

from core.guard.records import EntityKind, Finding
from core.guard.windows import OVERLAP_CHARACTERS, WINDOW_CHARACTERS, joined, windows_of


def found_in(text: str) -> list[Finding]:
    return [Finding(EntityKind.PHONE, *match.span(), 0.5, "digits") for match in re.finditer("[0-9]+", text)]


def found_in_windows(text: str) -> list[Finding]:
    windows = windows_of(len(text))
    assert all(window.end - window.start <= WINDOW_CHARACTERS for window in windows)
    return joined(len(text), windows, [found_in(text[window.start : window.end]) for window in windows])


@given(
    st.integers(0, 3 * WINDOW_CHARACTERS),
    st.lists(st.tuples(st.integers(1, 2000), st.integers(1, OVERLAP_CHARACTERS)), max_size=30),
)
def test_windows_change_nothing(before: int, values: list[tuple[int, int]]) -> None:
    text = "x" * before + "".join("y" * gap + "1" * length for gap, length in values)
    assert found_in_windows(text) == found_in(text)


def test_of_the_injections_of_a_long_text_the_surest_is_kept_and_is_about_the_whole_text() -> None:
    length = 2 * WINDOW_CHARACTERS
    windows = windows_of(length)
    scores = [0.2, 0.9, 0.4]
    assert len(windows) == len(scores)
    found = [[Finding(EntityKind.INJECTION, 0, 9, score, "injection")] for score in scores]
    assert joined(length, windows, found) == [Finding(EntityKind.INJECTION, 0, length, 0.9, "injection")]
