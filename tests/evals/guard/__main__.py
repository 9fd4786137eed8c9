"""``python -m tests.evals.guard``: what the guard finds, and finds wrongly."""

import sys

from tests.evals.guard import classes, injection, personal

if __name__ == "__main__":
    sys.exit(max(personal.main(), injection.main(), classes.main()))
