"""What it costs to look for kinds of personal data, secrets and injections: processor time for a kilobyte.

``python -m tests.bench guard``; ``python -m tests.bench.guard`` prints the table alone and needs no servers. The texts
are the messages of ``tests/evals/guard`` in pieces of a kilobyte, analyzed one by one in this process; a row is the
median of three rounds.
"""

import sys
import time
from collections.abc import Mapping
from statistics import median

from core.guard.detection import Detector
from core.guard.policy import TEMPLATES
from core.guard.records import Direction, EntityKind, Source
from tests.bench.rows import Row
from tests.evals.guard.personal import read_messages

_ROUNDS = 3
_PIECE_CHARACTERS = 1_000
_BALANCED = TEMPLATES["balanced"]
_KINDS: Mapping[str, frozenset[str] | None] = {
    "secrets": frozenset({EntityKind.SECRET}),
    "injections": frozenset({EntityKind.INJECTION}),
    "balanced_answer_to_client": _BALANCED.kinds_wanted(Direction.TO_CLIENT, Source.MODEL_OUTPUT),
    "balanced_document_to_model": _BALANCED.kinds_wanted(Direction.TO_MODEL, Source.DOCUMENT),
    "balanced_input_to_model": _BALANCED.kinds_wanted(Direction.TO_MODEL, Source.INPUT),
    "all": None,
}


def measure() -> list[Row]:
    """One row for each set of kinds."""
    detector = Detector()
    texts = _pieces()
    kilobytes = sum(len(text.encode()) for text in texts) / 1000
    detector.analyze(texts)
    rounds: dict[str, list[float]] = {name: [] for name in _KINDS}
    for _ in range(_ROUNDS):
        for name, kinds in _KINDS.items():
            began = time.process_time()
            for text in texts:
                detector.analyze([text], kinds)
            rounds[name].append((time.process_time() - began) * 1000 / kilobytes)
    return [Row(f"guard_{name}", round(median(each), 1), "ms/KB") for name, each in rounds.items()]


def _pieces() -> list[str]:
    pieces = [""]
    for message in read_messages():
        if len(pieces[-1]) >= _PIECE_CHARACTERS:
            pieces.append("")
        pieces[-1] += f"{message.text}\n\n"
    return pieces


if __name__ == "__main__":
    for row in measure():
        sys.stdout.write(f"{row.name:40} {row.value:8} {row.unit}\n")
