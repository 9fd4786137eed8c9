"""``make evals``: the evaluation set of every capability, one after the other. Exit code 1 if one misses its mark.

An evaluation is a folder here with a ``__main__`` that prints its score and exits with 1 below its mark.
"""

import subprocess
import sys
from pathlib import Path


def main() -> int:
    """Run them all, or those that are named."""
    here = Path(__file__).parent
    known = sorted(path.parent.name for path in here.glob("*/__main__.py"))
    chosen = sys.argv[1:] or known
    failed = 0
    for name in chosen:
        if name not in known:
            sys.stderr.write(f"there is no evaluation {name}; there are: {', '.join(known)}\n")
            return 2
        sys.stdout.write(f"{name}\n")
        sys.stdout.flush()
        failed += subprocess.run([sys.executable, "-m", f"tests.evals.{name}"], check=False).returncode != 0
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
