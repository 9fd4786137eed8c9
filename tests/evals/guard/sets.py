"""Texts for the injection detector: our own by theme and those of other authors, without near-duplicates."""

import json
import random
import zlib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from core.guard.injection.normalize import fold, plain
from tests.evals.guard.training import FOLDER
from waybill.evals.guard.injections import Sample, read_samples

HELD = FOLDER.parent / "held"
PUBLIC = ("neuralchemy", "slabs")
SUPPORT_MESSAGES = "tests/evals/customer_operations/training/messages.jsonl"
MIN_PARAGRAPH_CHARS = 60
NEAR = 0.6
_SHINGLE_CHARS = 5
_HASHES, _BANDS = 64, 32


def read_own(*, held: bool) -> list[Sample]:
    """Our own texts, a line each, where ``\\n`` stands for a line break. `held`: those that no training sees."""
    if held:
        paths = [(path, path.stem.startswith("attacks")) for path in sorted(HELD.glob("*.txt"))]
    else:
        paths = [(path, path.parent.name == "attacks") for path in sorted(FOLDER.glob("*/*.txt"))]
    return [
        Sample(line.replace("\\n", "\n"), is_attack, path.stem if held else f"{path.parent.name}-{path.stem}")
        for path, is_attack in paths
        for line in path.read_text(encoding="utf-8").splitlines()
        if line.strip()
    ]


def read_public(data: Path, split: str) -> list[Sample]:
    """The sets below ``guard/injection``; `split` is ``train`` or ``test``."""
    return [
        sample for name in PUBLIC for sample in read_samples(data / "guard/injection" / f"{name}-{split}.jsonl", name)
    ]


def read_prose(data: Path, limit: int) -> list[Sample]:
    """Ordinary text that others wrote, at most `limit` of a kind: paragraphs, synthetic letters, support messages.

    Of the messages, which differ most, three times as many.
    """
    root = FOLDER.parents[3]
    messages = map(json.loads, (root / SUPPORT_MESSAGES).read_text("utf-8").splitlines())
    kinds = {
        "pages": [part for path in sorted((root / "docs").glob("*/*.md")) for part in paragraphs(path)],
        "documents": [
            part for path in sorted((data / "documents").rglob("*.reference.md")) for part in paragraphs(path)
        ],
        "letters": [
            row["full_text"]
            for path in sorted((data / "guard/pii").glob("*.json"))
            for row in json.loads(path.read_text("utf-8"))
        ],
        "messages": [row["message"] for row in messages if row["manner"] != "injection"],
    }
    chance = random.Random(11)
    return [
        Sample(text, False, f"prose-{kind}")
        for kind, texts in kinds.items()
        for text in chance.sample(texts, min(3 * limit if kind == "messages" else limit, len(texts)))
    ]


def paragraphs(path: Path) -> list[str]:
    """The parts of a Markdown file that are more than a heading."""
    return [part for part in path.read_text(encoding="utf-8").split("\n\n") if len(part) > MIN_PARAGRAPH_CHARS]


def without_near(samples: Sequence[Sample], others: Iterable[Sample]) -> list[Sample]:
    """Those of `samples` of which no near-duplicate is in `others`.

    Candidates share a band of their MinHash signatures (Broder 1997); near is a Jaccard similarity of at least `NEAR`
    of their character shingles, of folded texts without punctuation.
    """
    known: dict[tuple[int, bytes], list[frozenset[int]]] = defaultdict(list)
    for other in others:
        shingles = _shingles(other.text)
        for band in _bands(shingles):
            known[band].append(shingles)
    return [each for each in samples if not _is_near(_shingles(each.text), known)]


def distinct(samples: Sequence[Sample]) -> list[Sample]:
    """Each text once."""
    seen: set[str] = set()
    kept = []
    for each in samples:
        key = fold(each.text)
        if key not in seen:
            seen.add(key)
            kept.append(each)
    return kept


def _is_near(shingles: frozenset[int], known: dict[tuple[int, bytes], list[frozenset[int]]]) -> bool:
    return any(
        len(shingles & other) >= NEAR * len(shingles | other)
        for band in _bands(shingles)
        for other in known.get(band, [])
    )


def _shingles(text: str) -> frozenset[int]:
    words = "".join(each if each.isalnum() else " " for each in fold(plain(text))).split()
    joined = f" {' '.join(words)} "
    return frozenset(
        zlib.crc32(joined[start : start + _SHINGLE_CHARS].encode(errors="replace"))
        for start in range(max(len(joined) - _SHINGLE_CHARS + 1, 1))
    )


_RANDOM = np.random.default_rng(7)
_FACTORS = _RANDOM.integers(1, 2**31, _HASHES, dtype=np.uint64) * np.uint64(2) + np.uint64(1)
_OFFSETS = _RANDOM.integers(0, 2**31, _HASHES, dtype=np.uint64)


def _bands(shingles: frozenset[int]) -> list[tuple[int, bytes]]:
    hashed: NDArray[np.uint64] = np.fromiter(shingles, np.uint64, len(shingles))
    mixed = ((hashed[None, :] * _FACTORS[:, None] + _OFFSETS[:, None]) & np.uint64(0xFFFFFFFF)).min(axis=1)
    width = _HASHES // _BANDS
    return [(band, mixed[band * width : (band + 1) * width].tobytes()) for band in range(_BANDS)]
