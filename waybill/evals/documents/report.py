"""Compares our readers with others on the same files."""

import statistics
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pipelines.knowledge.documents.document import LeftOut
from pipelines.knowledge.documents.errors import UnreadableDocument
from pipelines.knowledge.documents.isolation import IsolatedReader
from waybill.evals.documents.peers import PEERS, read_with
from waybill.evals.documents.words import Score, Words, agreed, score, words_in, words_named, words_of_markdown
from waybill.evals.files import UnreadableData, read_text

REFERENCE_SUFFIX = ".reference.md"
OURS = "waybill"


@dataclass(frozen=True, slots=True)
class FileResult:
    """One file. `scores` are by reader and empty without a reference; `refused` is our reader's code, if it refused.

    `reference` is the origin of the compared words: `given`, or `peers` when the peers had to agree on one. `named` is
    our reader's score with the heads and page numbers that it names once instead of repeating them.
    """

    name: str
    reference: str
    scores: Mapping[str, Score]
    named: Score
    refused: str | None
    left_out: tuple[LeftOut, ...]

    @property
    def best_peer(self) -> float | None:
        """The largest share of words that a peer found; None when no peer read the file."""
        return max((each.found_share for name, each in self.scores.items() if name != OURS), default=None)

    @property
    def is_silently_empty(self) -> bool:
        """Whether our reader accepted the file without finding a word of its reference."""
        ours = self.scores[OURS]
        return self.refused is None and bool(ours.reference) and not ours.found


@dataclass(frozen=True, slots=True)
class Report:
    """All files of a folder, and the peers that are not installed here."""

    data: str
    files: tuple[FileResult, ...]
    missing_peers: tuple[str, ...]

    @property
    def beside_peers(self) -> list[FileResult]:
        """The files that a peer read too."""
        return [each for each in self.files if each.best_peer is not None]

    @property
    def as_good_share(self) -> float | None:
        """The share of those files where our reader found as many of the words as the best peer; None without any."""
        return self._as_good(lambda each: each.scores[OURS])

    @property
    def as_good_or_named_share(self) -> float | None:
        """The same, with the heads and page numbers that our reader names once instead of repeating them."""
        return self._as_good(lambda each: each.named)

    def _as_good(self, ours: Callable[[FileResult], Score]) -> float | None:
        beside = self.beside_peers
        good = sum(ours(each).found_share >= (each.best_peer or 0) for each in beside)
        return good / len(beside) if beside else None

    @property
    def median_lost(self) -> float | None:
        """The median, over the files with a given reference, of the share of its words not found."""
        lost = [1 - each.scores[OURS].found_share for each in self.files if each.reference == "given"]
        return statistics.median(lost) if lost else None

    @property
    def silently_empty(self) -> list[str]:
        """The files that our reader accepted without finding a word of their reference."""
        return [each.name for each in self.files if each.is_silently_empty]

    def as_json(self) -> dict[str, Any]:
        """The report as JSON."""
        return {
            "data": self.data,
            "missing_peers": list(self.missing_peers),
            "as_good_as_best_peer": self.as_good_share,
            "as_good_or_named": self.as_good_or_named_share,
            "files_beside_peers": len(self.beside_peers),
            "median_words_lost": self.median_lost,
            "silently_empty": self.silently_empty,
            "files": [_file_as_json(each) for each in self.files],
        }


def run_documents_eval(data: Path, *, progress: Callable[[int, int], None] = lambda *_: None) -> Report:
    """Read every file below `data` and compare. A file with ``NAME.reference.md`` beside it is compared with that.

    Raises `UnreadableData` when there is nothing to read.
    """
    paths = sorted(path for path in data.rglob("*") if path.is_file() and not path.name.endswith(REFERENCE_SUFFIX))
    if not paths:
        raise UnreadableData(f"{data} holds no files")
    results = []
    with IsolatedReader() as reader:
        for number, path in enumerate(paths, start=1):
            results.append(_measure(reader, path, path.relative_to(data).as_posix()))
            progress(number, len(paths))
    missing = tuple(peer.name for peer in PEERS if not peer.is_installed)
    return Report(data.name, tuple(results), missing)


def _measure(reader: IsolatedReader, path: Path, name: str) -> FileResult:
    content = path.read_bytes()
    refused, text = None, ""
    left_out: tuple[LeftOut, ...] = ()
    try:
        document = reader.read(content, name=path.name)
        text, left_out = document.text, document.left_out
    except UnreadableDocument as refusal:
        refused = refusal.code
    peers = dict(_peer_readings(path.suffix.lower(), content))
    given = path.with_name(f"{path.name}{REFERENCE_SUFFIX}")
    reference = words_of_markdown(read_text(given)) if given.exists() else agreed(peers.values())
    readings = {OURS: words_in(text), **peers}
    source = "given" if given.exists() else "peers" if peers else "none"
    scores = {each: score(words, reference) for each, words in readings.items()}
    named = score(readings[OURS] + words_named(left_out), reference)
    return FileResult(name, source, scores, named, refused, left_out)


def _peer_readings(suffix: str, content: bytes) -> Iterator[tuple[str, Words]]:
    for peer in PEERS:
        if peer.suffix == suffix and peer.is_installed and (text := read_with(peer, content)) is not None:
            yield peer.name, words_in(text)


def _file_as_json(result: FileResult) -> dict[str, Any]:
    return {
        "name": result.name,
        "reference": result.reference,
        "refused": result.refused,
        "readers": {
            name: {"found": each.found_share, "invented": each.invented_share, "words": each.own}
            for name, each in result.scores.items()
        },
        "left_out": [asdict(each) for each in result.left_out],
    }
