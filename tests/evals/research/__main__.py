"""``python -m tests.evals.research``: the score on the embedded models, and what each report leaves out."""

import sys
import tempfile
from pathlib import Path

from pydantic import SecretStr

from core.kit.migrate import upgrade
from core.kit.settings import Settings
from tests.evals.research.run import Score, read_questions, run
from tests.evals.scores import Row, publish
from tests.factories.knowledge import CORPUS, open_library
from waybill.stack.postgres import EmbeddedPostgres

SUPPORT, COVERAGE, RESTRAINT = 1.0, 0.75, 0.5


def main() -> int:
    """Start what it needs, score, print."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        postgres = EmbeddedPostgres(home / "postgres")
        postgres.start()
        try:
            upgrade(postgres.url)
            with open_library(Settings(home=home, database_url=SecretStr(postgres.url))) as library:
                library.upload_files(CORPUS.iterdir())
                library.ingest()
                score = run(library, read_questions())
        finally:
            postgres.stop()
    sys.stdout.write(report(score))
    publish(
        "research",
        [
            Row(
                "reports",
                "looked at",
                "claims supported",
                sum(each.claims for each in score.figures),
                score.support,
                mark=SUPPORT,
            ),
            Row(
                "reports",
                "looked at",
                "expected facts stated",
                sum(each.facts for each in score.figures),
                score.coverage,
                mark=COVERAGE,
            ),
            Row(
                "reports",
                "looked at",
                "gaps named",
                sum(each.gaps for each in score.figures),
                score.restraint,
                mark=RESTRAINT,
            ),
        ],
    )
    return int(not passes(score))


def passes(score: Score) -> bool:
    """Whether the score reaches its marks."""
    return score.support >= SUPPORT and score.coverage >= COVERAGE and score.restraint >= RESTRAINT


def report(score: Score) -> str:
    """The score as text."""
    lines = [
        f"support    {score.support:.3f}  ({sum(each.claims for each in score.figures)} claims)",
        f"coverage   {score.coverage:.3f}  ({sum(each.facts for each in score.figures)} facts)",
        f"restraint  {score.restraint:.3f}  ({sum(each.gaps for each in score.figures)} parts without an answer)",
        f"reports    {len(score.figures)}",
    ]
    lines += [
        f"  {each.id}: {each.claims - each.supported} unsupported,"
        f" missing {list(each.missing)}, hidden {list(each.hidden)}"
        for each in score.figures
        if each.missing or each.hidden or each.supported < each.claims
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
