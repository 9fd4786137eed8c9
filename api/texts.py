"""Short texts in requests: the characters that a name, a line or a label may contain."""

from typing import Annotated

from pydantic import StringConstraints

LABELS_MAX = 32

# Line breaks and other control characters do not belong in a name.
_LINE = r"^[^\x00-\x1f\x7f]*[^\s\x00-\x1f\x7f][^\x00-\x1f\x7f]*$"

Line = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=_LINE)]
LongLine = Annotated[str, StringConstraints(min_length=1, max_length=255, pattern=_LINE)]
LabelName = Annotated[str, StringConstraints(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9_.-]+$")]
LabelValue = Annotated[str, StringConstraints(max_length=512)]
EmailAddress = Annotated[str, StringConstraints(max_length=254, pattern=r"^[^@\s\x00-\x1f\x7f]+@[^@\s\x00-\x1f\x7f]+$")]
