"""What a migration takes away from the release before it: found in the SQL that it would run."""

import io
import re
from collections.abc import Callable

from alembic.migration import MigrationContext
from alembic.operations import Operations

_COMMENT = re.compile(r"--[^\n]*")
# What a function will do when it is called is not done now. A DO block is.
_FUNCTION_BODY = re.compile(r"\bAS\s+\$(\w*)\$.*?\$\1\$", re.DOTALL | re.IGNORECASE)
_CREATED = re.compile(
    r"\bCREATE\s+(?:UNLOGGED\s+)?(?:TABLE|TYPE|VIEW|SEQUENCE|FUNCTION)\s+(?:IF\s+NOT\s+EXISTS\s+)?([\w.]+)",
    re.IGNORECASE,
)
_TARGET = r"(?:TABLE|ON|FUNCTION|INTO|FROM)\s+(?:IF\s+EXISTS\s+)?(?:ONLY\s+)?"
_RULE = r"(?:CONSTRAINT|CHECK|UNIQUE|FOREIGN|PRIMARY|EXCLUDE)\b"
# Dropping an index, NOT NULL or a constraint refuses nothing that was taken before.
_CONTRACTIONS = {
    "drops": r"\bDROP\s+(?!INDEX\b|NOT\s+NULL\b|CONSTRAINT\b)\w+",
    "renames": r"\bRENAME\b",
    "changes a type": r"\bALTER\s+(?:COLUMN\s+)?\w+\s+(?:SET\s+DATA\s+)?TYPE\b",
    "refuses NULL": r"\bSET\s+NOT\s+NULL\b",
    "wants a value": rf"\bADD\s+(?:COLUMN\s+)?(?!{_RULE})\w+\s(?![^,;]*\bDEFAULT\b)[^,;]*\bNOT\s+NULL\b",
    "refuses rows": rf"\bADD\s+{_RULE}|\bCREATE\s+UNIQUE\s+INDEX\b",
    "takes a right": r"\bREVOKE\b(?!.*\bFROM\s+PUBLIC\b)",
}


def statements_of(upgrade: Callable[[], None]) -> str:
    """The SQL of a migration's `upgrade`, without running it anywhere."""
    written = io.StringIO()
    context = MigrationContext.configure(
        dialect_name="postgresql", opts={"as_sql": True, "output_buffer": written, "literal_binds": True}
    )
    with Operations.context(context):
        upgrade()
    return written.getvalue()


def contractions(sql: str) -> list[str]:
    """What in `sql` an earlier release may trip over, with the statement; nothing of what `sql` itself creates."""
    plain = _FUNCTION_BODY.sub("AS ''", _COMMENT.sub("", sql))
    created = "|".join(re.escape(name) for name in sorted(set(_CREATED.findall(plain))))
    own = re.compile(rf"{_TARGET}(?:{created})\b", re.IGNORECASE) if created else None
    found = []
    for statement in (" ".join(part.split()) for part in plain.split(";")):
        if own is not None and own.search(statement):
            continue
        found += [
            f"{what}: {statement[:120]}"
            for what, pattern in _CONTRACTIONS.items()
            if re.search(pattern, statement, re.IGNORECASE)
        ]
    return found
