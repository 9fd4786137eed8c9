"""What an evaluation measured, as rows that the page of all evaluations shows (`tests.evals.page`).

An evaluation calls `publish` once, with all of its rows, before it ends:

    publish("answers", [Row("fresh questions", "never looked at", "right of asserted", 41, 0.95, baseline=0.61,
                            baseline_name="before the verifier", mark=0.92)])
"""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "build" / "evals"


@dataclass(frozen=True, slots=True)
class Row:
    """A share of right ones (0 to 1) among `n`, with the figure of something simpler on the same items beside it.

    `group` is the set; `split` is ``looked at`` or ``never looked at`` while the rules were written, or ``drawn``
    of what is simulated; below `mark` the evaluation fails.
    """

    group: str
    split: str
    measure: str
    n: int
    score: float
    baseline: float | None = None
    baseline_name: str = ""
    mark: float | None = None


def publish(evaluation: str, rows: Iterable[Row]) -> Path:
    """Write the rows of `evaluation` for the page, in place of those of its last run; returns the file."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    path = FOLDER / f"{evaluation}.json"
    path.write_text(json.dumps([asdict(row) for row in rows], indent=1) + "\n", encoding="utf-8")
    return path


def missed(rows: Iterable[Row]) -> list[Row]:
    """Those that are below their mark."""
    return [row for row in rows if row.mark is not None and row.score < row.mark]


def published() -> dict[str, list[Row]]:
    """The rows of each evaluation that has published some, by its name."""
    return {
        path.stem: [Row(**row) for row in json.loads(path.read_text(encoding="utf-8"))]
        for path in sorted(FOLDER.glob("*.json"))
    }
