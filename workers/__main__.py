"""``python -m workers dispatcher``, ``… deliverer``, ``… worker POOL`` and ``… pool POOL``: the roles without the CLI.

``pool`` is a worker that is supervised: replaced when it crashes or has grown too large. ``alone`` is for workers.
"""

import sys
from uuid import UUID

from core.kit.settings import get_settings

_USAGE = "usage: python -m workers dispatcher | deliverer | worker POOL [CONCURRENCY] | pool POOL [CONCURRENCY]"


def run(arguments: list[str]) -> int:
    """Run the role named by `arguments`; returns the process's exit code."""
    match arguments:
        case ["dispatcher"]:
            from workers.dispatcher import main as dispatch

            dispatch(get_settings())
            return 0
        case ["deliverer"]:
            from workers.deliverer import main as deliver

            deliver(get_settings())
            return 0
        case ["worker", pool, *rest] if len(rest) <= 1 and all(text.isdigit() for text in rest):
            from workers.worker import main as work

            return work(get_settings(), pool, int(rest[0]) if rest else None)
        case ["pool", pool, *rest] if len(rest) <= 1 and all(text.isdigit() for text in rest):
            from workers.supervisor import main as supervise

            return supervise(get_settings(), pool, int(rest[0]) if rest else None)
        case ["isolated", job_id, pool]:
            from workers.isolated import main as work_isolated

            return work_isolated(get_settings(), UUID(job_id), pool)
        case _:
            sys.stderr.write(f"{_USAGE}\n")
            return 2


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
