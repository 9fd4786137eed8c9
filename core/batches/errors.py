"""Errors of batches."""

from collections.abc import Sequence

from core.batches.records import LineProblem
from core.kit.errors import Conflict, Gone, NotFound, Unprocessable


class BatchNotFound(NotFound):
    """No such batch in the project."""

    default_code = "batch_not_found"


class BatchNotReady(Conflict):
    """The file is being validated: there are no results yet."""

    default_code = "batch_validating"


class BatchErased(Gone):
    """Retention has deleted its lines and results."""

    default_code = "batch_erased"


class LinesInvalid(Unprocessable):
    """Lines are invalid, and nothing was created. `extra` has the first problems and the number of invalid lines."""

    default_code = "batch_lines_invalid"

    def __init__(self, problems: Sequence[LineProblem], bad_lines: int) -> None:
        first = problems[0]
        more = f" (and {bad_lines - 1} more lines)" if bad_lines > 1 else ""
        errors = [
            {**each.as_json(), "path": f"body.lines.{each.line - 1}" + (f".{each.path}" if each.path else "")}
            for each in problems
        ]
        super().__init__(f"line {first.line}: {first.path}: {first.message}{more}", errors=errors, bad_lines=bad_lines)
