"""Words that attacks consist of, by their function in a sentence, in the languages that the rules support.

A class stands for its words in the model's features: a model that learned "ignore the rules" also recognizes
"disregard the guidelines". ``lexicon.toml`` holds the words.
"""

import tomllib
from collections.abc import Mapping
from importlib.resources import files

# Shorter words would match in any letters.
_MIN_SEGMENT_CHARS = 4
# Words of these classes are no evidence.
_COMMON = {"must", "you"}
_READ = tomllib.loads(files(__package__).joinpath("lexicon.toml").read_text(encoding="utf-8"))
_CLASSES: Mapping[str, list[str]] = {name: words.split() for name, words in _READ["classes"].items()}

CLASS_OF: Mapping[str, str] = {word: name for name, words in reversed(list(_CLASSES.items())) for word in words}
ENGLISH = frozenset(_READ["words"]["english"].split())
SEGMENTS = frozenset(_READ["words"]["common"].split()) | frozenset(
    word
    for name, words in _CLASSES.items()
    if name not in _COMMON
    for word in words
    if len(word) >= _MIN_SEGMENT_CHARS and word.isalpha()
)
LONGEST_WORD = max(map(len, SEGMENTS))
