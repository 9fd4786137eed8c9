"""The quality signals: a closed list of what is measured for an ended job, and which direction is worse."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Signal(StrEnum):
    """A quality signal: a number computed for a job, never a text of it."""

    SUCCEEDED = "succeeded"
    QUOTES_VERIFIED = "quotes_verified"
    CLAIMS_SUPPORTED = "claims_supported"
    CLAIMS_QUOTED = "claims_quoted"
    ABSTAINED = "abstained"
    CUT_OFF = "cut_off"
    SCHEMA_VALID = "schema_valid"
    FIELDS_FOUND = "fields_found"
    CONFIDENCE = "confidence"
    HANDED_OVER = "handed_over"
    GUARD_FOUND = "guard_found"
    TOOL_FAILED = "tool_failed"
    RETRIED = "retried"
    OUTAGE = "outage"
    HUMAN_APPROVED = "human_approved"
    HUMAN_CORRECTED = "human_corrected"
    HUMAN_REFUSED = "human_refused"
    FEEDBACK = "feedback"
    LABELED_GOOD = "labeled_good"
    JUDGED_GOOD = "judged_good"
    RUN_SECONDS = "run_seconds"
    RESULT_LENGTH = "result_length"
    INPUT_LENGTH = "input_length"
    INPUT_WORDS = "input_words"


class Kind(StrEnum):
    """How a signal is aggregated over jobs."""

    RATE = "rate"  # k of n
    SCORE = "score"  # the mean of a number from 0 to 1
    MEAN = "mean"  # the mean of a number without bounds
    DISTRIBUTION = "distribution"  # has no mean: only its drift is known


class Worse(StrEnum):
    """The direction of an alert. `EITHER` is a drift, which may be harmless."""

    LOWER = "lower"
    HIGHER = "higher"
    EITHER = "either"


@dataclass(frozen=True, slots=True)
class Definition:
    """`is_watched`: whether its change raises an alert. `unit` is empty for rates and scores."""

    kind: Kind
    worse: Worse
    meaning: str
    unit: str = ""
    is_watched: bool = True


def _rate(worse: Worse, meaning: str, *, is_watched: bool = True) -> Definition:
    return Definition(Kind.RATE, worse, meaning, is_watched=is_watched)


_LOWER, _HIGHER, _EITHER = Worse.LOWER, Worse.HIGHER, Worse.EITHER
DEFINITIONS: Mapping[Signal, Definition] = {
    Signal.SUCCEEDED: _rate(_LOWER, "The job succeeded; failed and expired ones did not."),
    Signal.QUOTES_VERIFIED: _rate(_LOWER, "Of the quotes that the model gave, those that stand in the documents."),
    Signal.CLAIMS_SUPPORTED: _rate(_LOWER, "Of the claims that were drafted, those that a source supports."),
    Signal.CLAIMS_QUOTED: _rate(
        _LOWER, "Of the supported claims, those that stand word for word in a source.", is_watched=False
    ),
    Signal.ABSTAINED: _rate(_HIGHER, "The result says that there is no answer."),
    Signal.CUT_OFF: _rate(_HIGHER, "The answer ended at the limit of its length."),
    Signal.SCHEMA_VALID: _rate(_LOWER, "The data obeys the schema that was asked for."),
    Signal.FIELDS_FOUND: _rate(_LOWER, "Of the fields that were asked for, those that were found."),
    Signal.CONFIDENCE: Definition(
        Kind.SCORE, _LOWER, "How sure the capability is: the mean over the fields found, or that of the intent."
    ),
    Signal.HANDED_OVER: _rate(_HIGHER, "The capability passed the case on to a person."),
    Signal.GUARD_FOUND: _rate(_HIGHER, "The guard found something in a text of the job.", is_watched=False),
    Signal.TOOL_FAILED: _rate(_HIGHER, "Of the tool calls, those without a known outcome."),
    Signal.RETRIED: _rate(_HIGHER, "At least one attempt failed."),
    Signal.OUTAGE: _rate(_HIGHER, "At least one attempt ended because a dependency was unavailable.", is_watched=False),
    Signal.HUMAN_APPROVED: _rate(_LOWER, "Of the approvals that people were asked for, those given unchanged."),
    Signal.HUMAN_CORRECTED: _rate(_HIGHER, "Of these, those given with changes.", is_watched=False),
    Signal.HUMAN_REFUSED: _rate(_HIGHER, "Of these, those refused.", is_watched=False),
    Signal.FEEDBACK: Definition(Kind.SCORE, _LOWER, "The mean of the ratings that people and applications gave."),
    Signal.LABELED_GOOD: Definition(Kind.SCORE, _LOWER, "The share of people's labels that call the result good."),
    Signal.JUDGED_GOOD: Definition(
        Kind.SCORE, _LOWER, "The share of judging models that call the result good.", is_watched=False
    ),
    Signal.RUN_SECONDS: Definition(
        Kind.MEAN, _HIGHER, "From the first attempt's start to the end, waiting included.", "seconds", is_watched=False
    ),
    Signal.RESULT_LENGTH: Definition(Kind.MEAN, _EITHER, "The length of the result's text.", "characters"),
    Signal.INPUT_LENGTH: Definition(Kind.MEAN, _EITHER, "The length of the input's text.", "characters"),
    Signal.INPUT_WORDS: Definition(
        Kind.DISTRIBUTION, _EITHER, "Which words inputs consist of, as a histogram of hashes; only its drift is known."
    ),
}


@dataclass(frozen=True, slots=True)
class Value:
    """One signal of one job: `numerator` of `denominator`. For a score or mean, the denominator is 1."""

    signal: Signal
    numerator: float
    denominator: float = 1.0

    @property
    def ratio(self) -> float:
        """The signal as one number."""
        return self.numerator / self.denominator
