"""The detector of direct prompt injection: the highest score of any part in any reading of a text."""

from collections.abc import Iterator, Sequence

from core.guard.injection.features import row_of, windows
from core.guard.injection.model import Model, load_model
from core.guard.injection.normalize import fold, views
from core.guard.injection.rules import FORMS

THRESHOLD = 0.5


class InjectionDetector:
    """Safe to use from several threads. The weights are read with the first text."""

    def __init__(self, model: Model | None = None) -> None:
        self._model = model

    def score(self, texts: Sequence[str]) -> list[float]:
        """How likely each text is an attack, from 0 to 1; from `THRESHOLD` up it counts as one. 0 for an empty text.

        The time is proportional to the text, about 6 ms per kilobyte.
        """
        return [max(self._scores(text), default=0.0) for text in texts]

    def _scores(self, text: str) -> Iterator[float]:
        model = self._model or load_model()
        for view in views(text):
            for window in windows(fold(view)):
                if window:
                    row = row_of(window)
                    yield max(model.score(row), *(FORMS[form].least_score for form in row.forms), 0.0)
