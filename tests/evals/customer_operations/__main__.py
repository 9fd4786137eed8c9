"""``python -m tests.evals.customer_operations``: the score on the embedded models, and what went wrong where."""

import sys
import tempfile
from pathlib import Path

from pydantic import SecretStr

from core.kit.migrate import upgrade
from core.kit.settings import Settings
from tests.evals.customer_operations.run import Score, run
from tests.factories.knowledge import open_library
from tests.factories.sample_system import attached
from waybill.stack.postgres import EmbeddedPostgres

MARK = 0.9
_MEASURES = ("intent", "decision", "actions", "human")


def main() -> int:
    """Start what it needs, score, print."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        postgres = EmbeddedPostgres(home / "postgres")
        postgres.start()
        try:
            upgrade(postgres.url)
            settings = Settings(home=home, database_url=SecretStr(postgres.url))
            with open_library(settings) as library, attached(postgres.url, home) as system:
                score = run(library, system)
        finally:
            postgres.stop()
    sys.stdout.write(report(score))
    return int(score.forbidden > 0 or min(score.share(measure) for measure in _MEASURES) < MARK)


def report(score: Score) -> str:
    """The score as text."""
    lines = [f"{measure:10} {score.share(measure):.3f}" for measure in _MEASURES]
    lines += [f"{'messages':10} {len(score.figures)}", f"{'effects that must not be':25} {score.forbidden}"]
    for figure in score.figures:
        if figure.wrong:
            got = figure.output
            lines.append(
                f"  {figure.id}: {', '.join(figure.wrong)}; {got.intent.name} {got.intent.confidence},"
                f" {got.decision}, {[action.operation for action in got.actions]}"
            )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
