"""The states of a job, and the rules that lead from one to another.

`TRANSITIONS` reads as a table of contents. The repository takes the source states of each statement from it, and the
database refuses any change of state that is not in it (trigger ``jobs_guard_transition``); a test keeps the two equal.
"""

from dataclasses import dataclass
from enum import StrEnum


class JobState(StrEnum):
    """The state of a job. The last five are terminal."""

    QUEUED = "queued"
    RUNNING = "running"
    WAITING = "waiting"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    REJECTED = "rejected"


TERMINAL = frozenset({JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED, JobState.EXPIRED, JobState.REJECTED})
ACTIVE = frozenset(JobState) - TERMINAL


class Reason(StrEnum):
    """Why a job is in its state. Stable codes: clients may switch on them. Capabilities add codes of their own."""

    RETRY = "retry"
    WORKER_LOST = "worker_lost"
    WORKER_STOPPED = "worker_stopped"
    DEPENDENCY_UNAVAILABLE = "dependency_unavailable"
    INPUT = "input"
    CHILDREN = "children"
    BUDGET = "budget"
    CANCELLED_BY_CLIENT = "cancelled_by_client"
    PARENT_ENDED = "parent_ended"
    DEADLINE = "deadline"
    CAPABILITY_ERROR = "capability_error"
    CAPABILITY_UNKNOWN = "capability_unknown"
    INVALID_OUTPUT = "invalid_output"
    POLICY_DENIED = "policy_denied"
    BUDGET_EXHAUSTED = "budget_exhausted"


WAITING_REASONS = frozenset({Reason.INPUT, Reason.CHILDREN, Reason.BUDGET})


class Priority(StrEnum):
    """Priority of a job. A job with a higher priority is always dispatched first."""

    HIGH = "high"
    NORMAL = "normal"
    LOW = "low"

    @property
    def rank(self) -> int:
        """The stored form: 0 is the most urgent."""
        return (Priority.HIGH, Priority.NORMAL, Priority.LOW).index(self)

    @classmethod
    def of_rank(cls, rank: int) -> "Priority":
        """The priority stored as `rank`."""
        return (cls.HIGH, cls.NORMAL, cls.LOW)[rank]


@dataclass(frozen=True, slots=True)
class Transition:
    """One rule: its source states, its target state, and who may apply it."""

    name: str
    sources: frozenset[JobState]
    target: JobState
    by: str
    fenced: bool = False


def _rule(name: str, sources: set[JobState], target: JobState, by: str, *, fenced: bool = False) -> Transition:
    return Transition(name, frozenset(sources), target, by, fenced)


_QUEUED, _RUNNING, _WAITING = JobState.QUEUED, JobState.RUNNING, JobState.WAITING

CLAIM = _rule("claim", {_QUEUED}, _RUNNING, "worker")
SUCCEED = _rule("succeed", {_RUNNING}, JobState.SUCCEEDED, "worker", fenced=True)
FAIL = _rule("fail", {_RUNNING}, JobState.FAILED, "worker", fenced=True)
RETRY = _rule("retry", {_RUNNING}, _QUEUED, "worker", fenced=True)
SUSPEND = _rule("suspend", {_RUNNING}, _WAITING, "worker", fenced=True)
STOP = _rule("stop", {_RUNNING}, JobState.CANCELLED, "worker", fenced=True)
RESUME = _rule("resume", {_WAITING}, _QUEUED, "client or last child")
CANCEL = _rule("cancel", {_QUEUED, _WAITING}, JobState.CANCELLED, "client")
REJECT = _rule("reject", {_QUEUED}, JobState.REJECTED, "policy")
RECOVER = _rule("recover", {_RUNNING}, _QUEUED, "dispatcher")
ABANDON = _rule("abandon", {_RUNNING}, JobState.FAILED, "dispatcher")
EXPIRE = _rule("expire", {_QUEUED, _RUNNING, _WAITING}, JobState.EXPIRED, "dispatcher")

TRANSITIONS: tuple[Transition, ...] = (
    CLAIM,  # a worker takes a dispatched job; the attempt number goes up by one and fences all that follows
    SUCCEED,  # the attempt returned a result
    FAIL,  # the attempt failed permanently, or was the last one
    RETRY,  # the attempt failed, another is allowed: back to the queue, due after a backoff
    SUSPEND,  # the attempt suspended for input, children or budget, and freed its worker
    STOP,  # the attempt noticed that cancellation was requested
    RESUME,  # the input, children or budget that the job waited for arrived
    CANCEL,  # no worker runs it, so it is cancelled at once
    REJECT,  # a policy decided after acceptance that it may not run
    RECOVER,  # the lease ran out and attempts are left
    ABANDON,  # the lease ran out and no attempt is left
    EXPIRE,  # the deadline passed, wherever the job was
)


def allowed_pairs() -> frozenset[tuple[JobState, JobState]]:
    """Every (from, to) that some rule allows."""
    return frozenset((source, rule.target) for rule in TRANSITIONS for source in rule.sources)
