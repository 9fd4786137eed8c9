"""``python -m tests.evals.guard``: what the guard finds, and finds wrongly."""

import sys

from tests.evals.guard import classes, injection, personal
from tests.evals.scores import missed, publish


def main() -> int:
    """Measure all of it; 1 when a mark is missed."""
    rows = [*personal.measure(), *injection.measure(), *classes.measure()]
    publish("guard", rows)
    below = missed(rows)
    for row in below:
        sys.stdout.write(f"below its mark: {row.group}: {row.measure} {row.score:.3f}\n")
    return int(bool(below))


if __name__ == "__main__":
    sys.exit(main())
