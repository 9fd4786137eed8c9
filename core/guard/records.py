"""The guard's records about a text: findings by kind and position, and the policy's decisions about them."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Annotated

from pydantic import StringConstraints

from core.registry.data_classes import DataClass

# The name of a kind, one of `EntityKind` or of a tenant's own.
KindName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,39}$")]


class Source(StrEnum):
    """The source of a text."""

    INPUT = "input"
    DOCUMENT = "document"
    TOOL_OUTPUT = "tool_output"
    MODEL_OUTPUT = "model_output"
    CHILD_RESULT = "child_result"
    REMOTE = "remote"

    @property
    def is_trusted(self) -> bool:
        """Whether it is the caller or a model; everything else is data, and its instructions are not followed."""
        return self in {Source.INPUT, Source.MODEL_OUTPUT}


class Direction(StrEnum):
    """The border that a text is about to cross."""

    TO_MODEL = "to_model"
    TO_TOOL = "to_tool"
    TO_CLIENT = "to_client"


class Action(StrEnum):
    """The action for a finding, from the least to the most strict."""

    OFF = "off"
    DETECT = "detect"
    REDACT = "redact"
    BLOCK = "block"

    @property
    def rank(self) -> int:
        """Its position in the order."""
        return list(Action).index(self)


class RedactionMode(StrEnum):
    """The replacement for a redacted value: ``<PHONE>``, ``<PHONE_1>``, a keyed digest, or nothing."""

    MASK = "mask"
    PSEUDONYMIZE = "pseudonymize"
    HASH = "hash"
    DROP = "drop"


class EntityKind(StrEnum):
    """The kinds that come with Waybill. A policy's dictionaries and patterns add names of their own."""

    PERSON = "person"
    ADDRESS = "address"
    POSTCODE = "postcode"
    PHONE = "phone"
    EMAIL = "email"
    CARD = "card"
    IBAN = "iban"
    TAX_ID = "tax_id"
    NATIONAL_ID = "national_id"
    DATE_OF_BIRTH = "date_of_birth"
    IP_ADDRESS = "ip_address"
    LOCATION = "location"
    ORGANIZATION = "organization"
    SECRET = "secret"  # noqa: S105 - the name of a kind
    INJECTION = "injection"


@dataclass(frozen=True, slots=True)
class Finding:
    """A value of `kind` at ``text[start:end]``, with a score from 0 to 1. `recognizer` names its recognizer.

    `part` is the index of the text among those that were screened. An injection covers the whole text.
    """

    kind: str
    start: int
    end: int
    score: float
    recognizer: str
    part: int = 0


@dataclass(frozen=True, slots=True)
class Decision:
    """A finding and the policy's decision about it."""

    finding: Finding
    action: Action
    mode: RedactionMode = RedactionMode.PSEUDONYMIZE


@dataclass(frozen=True, slots=True)
class Findings:
    """The decisions about some texts. `incomplete`: the analyzer did not answer, and the policy only detects.

    `data_class` is the highest that the policy assigns to the findings, or to the examples that the texts are similar
    to; None when it assigns none.
    """

    decisions: tuple[Decision, ...] = ()
    incomplete: bool = False
    texts: Sequence[str] = field(default=(), repr=False)
    data_class: DataClass | None = None

    @property
    def action(self) -> Action:
        """The strictest of all; `Action.OFF` when nothing was found."""
        return max((each.action for each in self.decisions), key=lambda action: action.rank, default=Action.OFF)

    def counts(self) -> dict[str, dict[str, int]]:
        """How many of each kind by action, for events, audit and metrics: never a value."""
        counted: dict[str, dict[str, int]] = {}
        for each in self.decisions:
            of_kind = counted.setdefault(each.finding.kind, {})
            of_kind[each.action.value] = of_kind.get(each.action.value, 0) + 1
        return counted
