"""Counting for a model whose tokenizer is not here, by rulers that its own reports have put right.

Another model's tokenizer is wrong by a factor that depends on the model and on what is said: for English prose the
embedded one counts a tenth more than today's large vocabularies, for German half as much again. What a provider
reports for answers that came to their end says by how much, and the next one that is interrupted is counted with that.
For an answer there is a second ruler, the pieces that came: most providers send a token at a time. The one that has
erred less lately is used.
"""

from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock

CountTokens = Callable[[str], int]

# A report further off than this says that something else was counted.
_MOST_FACTOR = 8.0
# What was seen before counts for less with every report: a deployment may get another model.
_KEPT = 0.95
# The first calls teach most; later ones are asked now and then, because counting costs processor time.
_EVERY_CALL, _SOME_CALLS = 16, 16
_SAMPLES, _SAMPLE_CHARACTERS = 64, 4096


@dataclass(slots=True)
class _Ruler:
    """Something that can be counted, and how many tokens one of it has been."""

    counted: float = 0.0
    reported: float = 0.0
    error: float = 0.0
    samples: int = 0

    def measure(self, counted: float) -> float:
        return counted * self.reported / self.counted if self.counted else counted

    def learn(self, counted: int, reported: int) -> None:
        if counted < 1 or not 1 / _MOST_FACTOR <= reported / counted <= _MOST_FACTOR:
            return
        # How wrong it would have been, before it learns; without a report it has measured nothing.
        error = abs(self.measure(counted) - reported) / reported if self.samples else 1.0
        self.error = error if self.samples <= 1 else _KEPT * self.error + (1 - _KEPT) * error
        self.counted = self.counted * _KEPT + counted
        self.reported = self.reported * _KEPT + reported
        self.samples += 1


def count_sampled(text: str, count_tokens: CountTokens) -> int:
    """Tokens of `text`; of one longer than 256 ki characters, by 64 pieces that lie evenly in it.

    Counting costs some two seconds for a million characters, and another model's tokenizer is wrong by more than this.
    """
    if len(text) <= _SAMPLES * _SAMPLE_CHARACTERS:
        return count_tokens(text)
    step = (len(text) - _SAMPLE_CHARACTERS) / (_SAMPLES - 1)
    starts = (round(number * step) for number in range(_SAMPLES))
    counted = sum(count_tokens(text[start : start + _SAMPLE_CHARACTERS]) for start in starts)
    return round(counted * len(text) / (_SAMPLES * _SAMPLE_CHARACTERS))


class Estimator:
    """Estimates for one model. `count_tokens` is some tokenizer; `is_exact` when it is the model's own.

    Safe in threads.
    """

    def __init__(self, count_tokens: CountTokens, *, is_exact: bool = False) -> None:
        self.count_tokens = count_tokens if is_exact else lambda text: count_sampled(text, count_tokens)
        self.is_exact = is_exact
        self._lock = Lock()
        self._calls = 0
        self._input, self._output, self._pieces = _Ruler(), _Ruler(), _Ruler()

    def input_tokens(self, text: str) -> int:
        """How many tokens the model reads in `text`."""
        counted = self.count_tokens(text)
        with self._lock:
            return round(self._input.measure(counted))

    def output_tokens(self, text: str, pieces: int) -> int:
        """How many tokens an answer of `text` was to the model, that came in so many pieces."""
        with self._lock:
            by_pieces = self._pieces.samples > 1 and self._pieces.error < self._output.error
            if by_pieces:
                return round(self._pieces.measure(pieces))
        counted = self.count_tokens(text)
        with self._lock:
            return round(self._output.measure(counted))

    def wants_to_learn(self) -> bool:
        """Whether the call that has just come to its end should be given to `learn`. Counts the calls."""
        if self.is_exact:
            return False
        with self._lock:
            self._calls += 1
            return self._calls <= _EVERY_CALL or self._calls % _SOME_CALLS == 0

    def learn(self, asked: str, input_tokens: int, answered: str, pieces: int, output_tokens: int) -> None:
        """The model read `asked` as `input_tokens`, and what it showed, in so many pieces, was `output_tokens`."""
        read, said = self.count_tokens(asked), self.count_tokens(answered)
        with self._lock:
            self._input.learn(read, input_tokens)
            self._output.learn(said, output_tokens)
            self._pieces.learn(pieces, output_tokens)
