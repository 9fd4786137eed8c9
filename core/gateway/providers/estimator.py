"""Token counting for a model whose tokenizer is not available, by rulers calibrated with the provider's reports.

Another model's tokenizer is wrong by a factor that depends on the model and the text: for English prose the embedded
one counts a tenth more than today's large vocabularies, for German half as much again. The provider's reports for
completed answers give that factor, and the next interrupted one is counted with it. Answers have a second ruler, the
number of pieces: most providers send one token at a time. The ruler with the smaller recent error is used.
"""

from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock

CountTokens = Callable[[str], int]

# A report further off than this must have counted something else.
_MAX_FACTOR = 8.0
# Past observations count for less with every report: a deployment may switch to another model.
_KEPT = 0.95
# The first calls teach most. Later ones are sampled occasionally, because counting costs processor time.
_EVERY_CALL, _SOME_CALLS = 16, 16
_SAMPLES, _SAMPLE_CHARACTERS = 64, 4096


@dataclass(slots=True)
class _Ruler:
    """A countable unit, and the observed number of tokens per unit."""

    counted: float = 0.0
    reported: float = 0.0
    error: float = 0.0
    samples: int = 0

    def measure(self, counted: float) -> float:
        return counted * self.reported / self.counted if self.counted else counted

    def learn(self, counted: int, reported: int) -> None:
        if counted < 1 or not 1 / _MAX_FACTOR <= reported / counted <= _MAX_FACTOR:
            return
        # Its error is measured before it learns; without a report there is no measurement yet.
        error = abs(self.measure(counted) - reported) / reported if self.samples else 1.0
        self.error = error if self.samples <= 1 else _KEPT * self.error + (1 - _KEPT) * error
        self.counted = self.counted * _KEPT + counted
        self.reported = self.reported * _KEPT + reported
        self.samples += 1


def count_sampled(text: str, count_tokens: CountTokens) -> int:
    """Tokens of `text`; a text longer than 256 Ki characters is estimated from 64 evenly spaced pieces.

    Counting takes about two seconds per million characters, and another model's tokenizer is wrong by more than this.
    """
    if len(text) <= _SAMPLES * _SAMPLE_CHARACTERS:
        return count_tokens(text)
    step = (len(text) - _SAMPLE_CHARACTERS) / (_SAMPLES - 1)
    starts = (round(number * step) for number in range(_SAMPLES))
    counted = sum(count_tokens(text[start : start + _SAMPLE_CHARACTERS]) for start in starts)
    return round(counted * len(text) / (_SAMPLES * _SAMPLE_CHARACTERS))


class Estimator:
    """Estimates for one model. `count_tokens` is any tokenizer; `is_exact` when it is the model's own.

    Thread-safe.
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
        """How many tokens an answer of `text`, received in `pieces` pieces, was to the model."""
        with self._lock:
            by_pieces = self._pieces.samples > 1 and self._pieces.error < self._output.error
            if by_pieces:
                return round(self._pieces.measure(pieces))
        counted = self.count_tokens(text)
        with self._lock:
            return round(self._output.measure(counted))

    def wants_to_learn(self) -> bool:
        """Whether the call that has just completed should be passed to `learn`. Counts the calls."""
        if self.is_exact:
            return False
        with self._lock:
            self._calls += 1
            return self._calls <= _EVERY_CALL or self._calls % _SOME_CALLS == 0

    def learn(self, asked: str, input_tokens: int, answered: str, pieces: int, output_tokens: int) -> None:
        """Learn that `asked` was `input_tokens`, and that `answered`, sent in `pieces` pieces, was `output_tokens`."""
        read, said = self.count_tokens(asked), self.count_tokens(answered)
        with self._lock:
            self._input.learn(read, input_tokens)
            self._output.learn(said, output_tokens)
            self._pieces.learn(pieces, output_tokens)
