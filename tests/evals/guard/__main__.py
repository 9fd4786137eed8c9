"""``python -m tests.evals.guard``: what the guard finds."""

import sys

from tests.evals.guard import personal

if __name__ == "__main__":
    sys.exit(personal.main())
