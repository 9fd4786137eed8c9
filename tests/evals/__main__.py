"""``make evals``: the evaluation set of every capability, one after the other. Exit code 1 if one misses its mark.

``--data DIR`` names a folder with sets of other authors, for the evaluations that can read them: they find it in
``WAYBILL_EVALS_DATA``. An evaluation is a folder here with a ``__main__`` that prints its score, publishes its rows
(`tests.evals.scores`) for the page that is written at the end, and exits with 1 below its mark.
"""

import argparse
import os
import subprocess
import sys
from pathlib import Path

from tests.evals import page
from tests.evals.scores import published


def main() -> int:
    """Run them all, or those that are named."""
    here = Path(__file__).parent
    known = sorted(path.parent.name for path in here.glob("*/__main__.py"))
    parser = argparse.ArgumentParser(prog="tests.evals")
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(known))
    parser.add_argument("--data", help="a folder with sets of other authors")
    given = parser.parse_args()
    chosen = given.names or known
    environment = {**os.environ, **({"WAYBILL_EVALS_DATA": given.data} if given.data else {})}
    failed = 0
    for name in chosen:
        if name not in known:
            sys.stderr.write(f"there is no evaluation {name}; there are: {', '.join(known)}\n")
            return 2
        sys.stdout.write(f"{name}\n")
        sys.stdout.flush()
        run = subprocess.run([sys.executable, "-m", f"tests.evals.{name}"], check=False, env=environment)
        failed += run.returncode != 0
    if published():
        page.main()
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
